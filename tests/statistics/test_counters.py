"""Counters: equal or not, with a tolerance for bytes alone."""

from __future__ import annotations

import math

import pytest

from trilemma.statistics.counters import Worse, compare_counters


@pytest.mark.parametrize(
    ("baseline", "candidate", "worse", "tolerance", "verdict", "reason"),
    [
        (10, 10, "larger", 0.0, "EXACT_SAME", "counter_equal"),
        (0, 0, "any", 0.0, "EXACT_SAME", "counter_equal"),
        (10, 11, "larger", 0.0, "REGRESSED", "counter_differs"),
        (10, 9, "larger", 0.0, "IMPROVED", "counter_differs"),
        (10, 11, "smaller", 0.0, "IMPROVED", "counter_differs"),
        (10, 9, "smaller", 0.0, "REGRESSED", "counter_differs"),
        (10, 11, "any", 0.0, "REGRESSED", "counter_differs"),
        (10, 9, "any", 0.0, "REGRESSED", "counter_differs"),
        (0, 1, "larger", 0.01, "REGRESSED", "counter_differs"),
        (2299532, 2299533, "any", 0.0, "REGRESSED", "counter_differs"),
        (1000, 1010, "larger", 0.01, "SAME", "counter_within_tolerance"),
        (1000, 990, "larger", 0.01, "SAME", "counter_within_tolerance"),
        (1000, 1011, "larger", 0.01, "REGRESSED", "counter_differs"),
        (1000, 989, "larger", 0.01, "IMPROVED", "counter_differs"),
        (math.nan, 1, "larger", 0.0, "INVALID", "not_finite"),
        (1, math.inf, "larger", 0.01, "INVALID", "not_finite"),
        (math.inf, math.inf, "larger", 0.0, "INVALID", "not_finite"),
    ],
)
def test_each_verdict(
    baseline: float, candidate: float, worse: Worse, tolerance: float, verdict: str, reason: str
) -> None:
    found = compare_counters(baseline, candidate, worse=worse, tolerance=tolerance)
    assert (found.verdict, found.reason) == (verdict, reason)
