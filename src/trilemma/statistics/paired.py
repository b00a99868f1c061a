"""Paired differences: two models drew sample i from the same prompt and noise, so the noise that they share cancels.

For a mean the difference is that of the per-sample values. For a statistic with an influence function ψ it is
SE = sd(ψ_B(xᵢᴮ) − ψ_A(xᵢᴬ))/√n (B. Efron, "The jackknife, the bootstrap and other resampling plans", SIAM 1982, §6).
For one that is not smooth both are computed without each group of the same samples, and the difference is jackknifed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from trilemma.errors import UserError
from trilemma.statistics.estimate import Estimate, too_few
from trilemma.statistics.jackknife import jackknife_se
from trilemma.statistics.means import finite_vector, method_name, standard_error_of_mean


def paired_difference(baseline: ArrayLike, candidate: ArrayLike, clusters: ArrayLike | None = None) -> Estimate:
    """Returns mean(candidate − baseline) with its standard error; row i of both (N,) is the same sample key."""
    baseline_N, candidate_N = finite_vector(baseline, "baseline"), finite_vector(candidate, "candidate")
    if len(baseline_N) == 0:
        return too_few(0, needed=2, what="pairs")
    return paired_influence(float(baseline_N.mean()), float(candidate_N.mean()), baseline_N, candidate_N, clusters)


def paired_influence(
    baseline: float,
    candidate: float,
    baseline_influence: ArrayLike,
    candidate_influence: ArrayLike,
    clusters: ArrayLike | None = None,
) -> Estimate:
    """Returns candidate − baseline with the standard error of the paired influence values (N,) of both.

    Raises:
        UserError: the two sides differ in length, so that their rows are no pairs.
    """
    a_N = finite_vector(baseline_influence, "baseline influence")
    b_N = finite_vector(candidate_influence, "candidate influence")
    if a_N.shape != b_N.shape:
        raise UserError(f"Pairs need the same samples on both sides: {len(a_N)} against {len(b_N)}.")
    if len(a_N) < 2:
        return too_few(len(a_N), needed=2, what="pairs")
    se, units = standard_error_of_mean(b_N - a_N, clusters)
    if se is None:
        return too_few(units, needed=2, what="clusters")
    return Estimate(
        value=candidate - baseline,
        se=se,
        se_method=method_name("difference", clusters),
        n=len(a_N),
        degrees_of_freedom=units - 1,
    )


def paired_jackknife(
    baseline: float, candidate: float, baseline_left_out: ArrayLike, candidate_left_out: ArrayLike, n: int
) -> Estimate:
    """Returns candidate − baseline with the standard error of their values without each group (G,) of n samples.

    Groups are dealt by the number of samples and a seed alone: two runs with the same keys are cut alike.

    Raises:
        UserError: the two sides were cut into unlike numbers of groups.
    """
    a_G = finite_vector(baseline_left_out, "baseline without each group")
    b_G = finite_vector(candidate_left_out, "candidate without each group")
    if a_G.shape != b_G.shape:
        raise UserError(f"Pairs need the same groups on both sides: {len(a_G)} against {len(b_G)}.")
    if len(a_G) < 2:
        return too_few(len(a_G), needed=2, what="groups")
    return Estimate(
        value=candidate - baseline,
        se=jackknife_se(np.subtract(b_G, a_G)),
        se_method="difference_jackknife",
        n=n,
        degrees_of_freedom=len(a_G) - 1,
    )
