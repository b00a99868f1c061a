"""Paired differences: two models drew sample i from the same prompt and noise, so the noise that they share cancels.

The error of a difference is that of the differences of both sides' replicates, one unit at a time: of influence values
SE = sd(ψ_B(xᵢᴮ) − ψ_A(xᵢᴬ))/√n (B. Efron, "The jackknife, the bootstrap and other resampling plans", SIAM 1982, §6),
corrected for the second order as for one side; of parts likewise; of values without each group their jackknife.
"""

from __future__ import annotations

from trilemma.errors import UserError
from trilemma.statistics.estimate import Estimate, estimate_from, missing, too_few
from trilemma.statistics.replicates import UNITS


def paired(baseline: Estimate, candidate: Estimate) -> Estimate:
    """Returns candidate − baseline with its standard error; both were measured on the same samples in one order.

    Raises:
        UserError: the two are not made of the same units, or one does not know its own.
    """
    for side in (baseline, candidate):
        if side.value is None:
            return missing(side.reason or "a side has no value", n=side.n, status=side.status)
    if not baseline.replicates or len(baseline.replicates) != len(candidate.replicates):
        raise UserError("Pairs need the replicates of both sides.")
    pairs = zip(baseline.replicates, candidate.replicates, strict=True)
    sources = tuple(after.minus(before) for before, after in pairs)
    assert baseline.value is not None and candidate.value is not None
    difference = candidate.value - baseline.value
    method = _method(baseline.se_method)
    found = estimate_from(difference, *sources, se_method=method, n=min(baseline.n, candidate.n))
    if found.se is None:
        few = min(sources, key=lambda source: len(source.values_U))
        return too_few(len(few.values_U), needed=2, what=f"pairs of {UNITS[few.kind]}")
    return found


def _method(of_a_side: str) -> str:
    jackknife = "_jackknife" if "jackknife" in of_a_side else ""
    clustered = "_clustered" if of_a_side.endswith("_clustered") else ""
    return f"difference{jackknife}{clustered}"
