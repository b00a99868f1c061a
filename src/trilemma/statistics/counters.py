"""Counters, such as parameters or FLOPs: equal or not, without statistics."""

from __future__ import annotations

import math
from typing import Literal

from trilemma.statistics.decision import Decision

Worse = Literal["larger", "smaller", "any"]


def compare_counters(baseline: float, candidate: float, *, worse: Worse, tolerance: float = 0.0) -> Decision:
    """Returns the decision on two counts.

    Args:
        baseline: the count that is expected. candidate: the one at hand.
        worse: which change is a regression; "any" where a change is neither good nor bad, but was not announced.
        tolerance: share of the baseline within which counts are the same, for bytes.
    """
    if not (math.isfinite(baseline) and math.isfinite(candidate)):
        return Decision(verdict="INVALID", reason="not_finite")
    if candidate == baseline:
        return Decision(verdict="EXACT_SAME", reason="counter_equal")
    if abs(candidate - baseline) <= tolerance * abs(baseline):
        return Decision(verdict="SAME", reason="counter_within_tolerance")
    grew = candidate > baseline
    better = worse == ("smaller" if grew else "larger")
    return Decision(verdict="IMPROVED" if better else "REGRESSED", reason="counter_differs")
