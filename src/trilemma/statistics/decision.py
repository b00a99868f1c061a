"""The verdict on a difference: it must be beyond chance and beyond the margin; no proof is not proof of sameness.

With Δ the difference in the worse direction, L and U its one-sided bounds at 1 − α and m the margin:

    REGRESSED     Holm-adjusted p(Δ > 0) < α and Δ > m
    IMPROVED      Holm-adjusted p(Δ < 0) < α and Δ < −m
    SAME          L >= −m and U <= m: equivalence (two one-sided tests; Schuirmann, Journal of Pharmacokinetics and
                  Biopharmaceutics 15, 1987)
    INCONCLUSIVE  else

The family of Holm's adjustment is all tests that are judged together, each direction for itself. The gate promises that
no series is falsely REGRESSED; a test for improvement cannot break that promise. In the same family it would cost as
much power as twice the series. Improvements have the same protection among themselves. Equivalence is not adjusted: its
bounds say what is known of one series, however many there are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from trilemma.statistics.contrasts import Contrast, Flaw
from trilemma.statistics.distributions import noncentrality, normal_quantile, t_quantile, t_tail
from trilemma.statistics.holm import holm

SIGNIFICANCE = 0.01
CONFIRMATION = 0.05
"""Significance of a confirmation: it repeats one test that is already suspected."""
INVALIDATING: tuple[Flaw, ...] = ("not_finite", "zero_where_positive")
"""Flaws of the numbers themselves; the others are of too little data."""
POWER = 0.8
"""Probability with which the smallest detectable worsening is called REGRESSED."""

Verdict = Literal[
    "EXACT_SAME", "SAME", "IMPROVED", "REGRESSED", "INCONCLUSIVE", "INVALID", "MISSING", "NEW", "INCOMPARABLE"
]


@dataclass(frozen=True, kw_only=True)
class Test:
    """One difference before it is judged together with others.

    Attributes:
        worse: Δ, positive where the candidate is worse.
        se: its standard error, None where there is none. degrees_of_freedom: of it; None or ∞ is normal.
        margin: what Δ must exceed to matter, on the scale of Δ.
        flaw: why it cannot be judged, where that is known beforehand.
    """

    worse: float
    se: float | None
    degrees_of_freedom: float | None
    margin: float
    flaw: Flaw | None = None

    @classmethod
    def of_contrast(cls, contrast: Contrast, margin: float, *, better: Literal["lower", "higher"]) -> Test:
        """Returns the test of a contrast, turned so that positive is worse."""
        return cls(
            worse=contrast.difference if better == "lower" else -contrast.difference,
            se=contrast.se,
            degrees_of_freedom=contrast.degrees_of_freedom,
            margin=margin,
            flaw=contrast.flaw,
        )

    @property
    def p(self) -> float:
        """One-sided p of "not worse"."""
        return self._tail(1)

    @property
    def p_better(self) -> float:
        """One-sided p of "not better"."""
        return self._tail(-1)

    def bounds(self, significance: float = SIGNIFICANCE) -> tuple[float, float]:
        """Returns the lower and the upper one-sided bound of Δ at 1 − significance."""
        half = t_quantile(1 - significance, self.degrees_of_freedom) * self._known_se()
        return self.worse - half, self.worse + half

    def detectable(self, significance: float = SIGNIFICANCE, family: int = 1) -> float:
        """Returns the smallest true worsening that this design calls REGRESSED with probability 0.8.

        The larger of two: δ·SE, with δ such that a noncentral T(δ) exceeds t(1 − α/k) with probability 0.8 (k is the
        size of the family: this series worsened alone), and m + z(0.8)·SE, which exceeds the margin with probability
        0.8 (J. Cohen, "Statistical power analysis for the behavioral sciences", 1988, §2, with the margin as a second
        threshold). Where the two are alike, both are exceeded with a probability of 0.7 to 0.8.
        """
        se = self._known_se()
        critical = t_quantile(1 - significance / family, self.degrees_of_freedom)
        significant = noncentrality(critical, POWER, self.degrees_of_freedom) * se
        return max(significant, self.margin + normal_quantile(POWER) * se)

    def _tail(self, sign: int) -> float:
        """P(T > sign·Δ/SE); without any spread the difference is certain, and 0 proves nothing."""
        se = self._known_se()
        if se == 0:
            return 0.0 if sign * self.worse > 0 else 1.0
        return t_tail(sign * self.worse / se, self.degrees_of_freedom)

    def _known_se(self) -> float:
        assert self.se is not None, "a difference without a standard error is shown, not tested"
        return self.se


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What is said of one series.

    Attributes:
        verdict: one of nine. reason: the code of why.
        p: one-sided p of the direction in which Δ points; p_adjusted: after Holm, None where nothing was tested.
        lower, upper: one-sided bounds of Δ, not adjusted.
        detectable: the smallest true worsening that this design finds in 4 of 5 comparisons.
    """

    verdict: Verdict
    reason: str
    p: float | None = None
    p_adjusted: float | None = None
    lower: float | None = None
    upper: float | None = None
    detectable: float | None = None


def decide(tests: Sequence[Test], *, significance: float = SIGNIFICANCE) -> list[Decision]:
    """Returns a decision for each test, in their order; what cannot be judged is no part of the family."""
    flaws = [_flaw(test) for test in tests]
    family = [position for position, flaw in enumerate(flaws) if flaw is None]
    worse, better = (
        dict(zip(family, holm(p_values), strict=True))
        for p_values in ([tests[i].p for i in family], [tests[i].p_better for i in family])
    )
    return [
        _judged(test, worse[position], better[position], len(family), significance)
        if flaw is None
        else _not_judged(test, flaw, significance)
        for position, (test, flaw) in enumerate(zip(tests, flaws, strict=True))
    ]


def confirmed(first: Decision, second: Test, *, significance: float = CONFIRMATION) -> Decision:
    """Returns what stands of a decision after the comparison was made again from fresh processes.

    REGRESSED stands when the repetition, by itself, is REGRESSED at 0.05, margin included. One that is INVALID is so
    itself: a failure must not turn an alarm off. Any other repetition makes it INCONCLUSIVE, "not_confirmed". Verdicts
    other than REGRESSED need no confirmation and stay.
    """
    if first.verdict != "REGRESSED":
        return first
    again = decide([second], significance=significance)[0]
    if again.verdict in ("REGRESSED", "INVALID"):
        return first if again.verdict == "REGRESSED" else again
    return replace(first, verdict="INCONCLUSIVE", reason="not_confirmed")


def _flaw(test: Test) -> Flaw | None:
    if test.flaw in INVALIDATING:
        return test.flaw
    se = 0.0 if test.se is None else test.se
    known_with = 1.0 if test.degrees_of_freedom is None else test.degrees_of_freedom
    if not all(map(math.isfinite, (test.worse, test.margin, se))) or min(test.margin, se) < 0 or not known_with > 0:
        return "not_finite"
    return test.flaw or ("no_standard_error" if test.se is None else None)


def _not_judged(test: Test, flaw: Flaw, significance: float) -> Decision:
    """A flawed difference is shown with its bounds where it has them."""
    if flaw in INVALIDATING:
        return Decision(verdict="INVALID", reason=flaw)
    if test.se is None:
        return Decision(verdict="INCONCLUSIVE", reason=flaw)
    lower, upper = test.bounds(significance)
    return Decision(verdict="INCONCLUSIVE", reason=flaw, p=min(test.p, test.p_better), lower=lower, upper=upper)


def _judged(test: Test, worse: float, better: float, family: int, significance: float) -> Decision:
    lower, upper = test.bounds(significance)
    verdict, reason = _verdict(test, worse, better, significance)
    of_direction = [p for p, points in ((worse, test.worse >= 0), (better, test.worse <= 0)) if points]
    return Decision(
        verdict=verdict,
        reason=reason,
        p=min(test.p, test.p_better),
        p_adjusted=min(of_direction),
        lower=lower,
        upper=upper,
        detectable=test.detectable(significance, family),
    )


def _verdict(test: Test, worse: float, better: float, significance: float) -> tuple[Verdict, str]:
    """The rule, from the adjusted p-values of both directions."""
    lower, upper = test.bounds(significance)
    if worse < significance and test.worse > test.margin:
        return "REGRESSED", "bound_above_zero_and_margin"
    if better < significance and test.worse < -test.margin:
        return "IMPROVED", "bound_below_zero_and_margin"
    if -test.margin <= lower and upper <= test.margin:
        return "SAME", "identical_values" if test.se == test.worse == 0 else "equivalent"
    if lower <= 0 <= upper:
        return "INCONCLUSIVE", "within_noise"
    return "INCONCLUSIVE", "below_margin" if abs(test.worse) <= test.margin else "not_significant_after_holm"
