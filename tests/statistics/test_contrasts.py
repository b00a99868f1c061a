"""Replicated times: Welch's and Student's tests against scipy's, and each thing that makes them unfit to judge."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from trilemma.statistics.contrasts import Contrast, mann_whitney, positive_logs, sessions, welch

RNG = np.random.default_rng(0)
FIVE, SIX, TWO = RNG.normal(size=5), 0.5 + 3 * RNG.normal(size=6), RNG.normal(size=2)


def p_of(contrast: Contrast) -> float:
    return float(stats.t.sf(contrast.difference / contrast.se, contrast.degrees_of_freedom))


def test_processes_are_judged_by_welchs_test() -> None:
    found = welch(FIVE, SIX)
    oracle = stats.ttest_ind(SIX, FIVE, equal_var=False, alternative="greater")
    assert (p_of(found), found.degrees_of_freedom) == (pytest.approx(oracle.pvalue), pytest.approx(oracle.df))
    assert found.difference == pytest.approx(SIX.mean() - FIVE.mean()) and found.flaw is None


def test_sessions_are_judged_by_students_test() -> None:
    found = sessions(FIVE, TWO)
    oracle = stats.ttest_ind(TWO, FIVE, alternative="greater")
    assert (p_of(found), found.degrees_of_freedom, found.flaw) == (pytest.approx(oracle.pvalue), 5, None)


def test_a_disturbed_session_widens_the_error() -> None:
    quiet, disturbed = sessions(FIVE, [0.0, 0.0]), sessions(FIVE, [0.0, 20.0])
    assert disturbed.se > 3 * quiet.se


@pytest.mark.parametrize(
    ("compare", "baseline", "candidate", "flaw", "has_error"),
    [
        (welch, FIVE[:4], SIX, "too_few_processes", True),
        (welch, FIVE, SIX[:4], "too_few_processes", True),
        (welch, FIVE, SIX[:1], "too_few_processes", False),
        (sessions, FIVE[:4], TWO, "too_few_sessions", True),
        (sessions, FIVE, TWO[:1], "too_few_sessions", True),
        (sessions, FIVE[:1], TWO[:1], "too_few_sessions", False),
    ],
)
def test_too_few_show_a_difference_that_is_not_judged(
    compare, baseline: np.ndarray, candidate: np.ndarray, flaw: str, has_error: bool
) -> None:
    found = compare(baseline, candidate)
    assert found.flaw == flaw and found.difference == pytest.approx(candidate.mean() - baseline.mean())
    assert (found.se is not None) == has_error == (found.degrees_of_freedom is not None)


@pytest.mark.parametrize("compare", [welch, sessions])
@pytest.mark.parametrize(
    ("bad", "flaw"),
    [(0.0, "zero_where_positive"), (-1.0, "zero_where_positive"), (math.nan, "not_finite"), (math.inf, "not_finite")],
)
def test_times_that_are_no_times_are_refused_on_either_side(compare, bad: float, flaw: str) -> None:
    good, spoilt = positive_logs([1.0, 2.0, 3.0, 4.0, 5.0]), positive_logs([1.0, 2.0, 3.0, 4.0, bad])
    for found in (compare(good, spoilt), compare(spoilt, good)):
        assert (found.flaw, found.se) == (flaw, None) and math.isnan(found.difference)


@pytest.mark.parametrize("compare", [welch, sessions])
def test_an_empty_side_has_no_difference(compare) -> None:
    for found in (compare([], FIVE), compare(FIVE, [])):
        assert math.isnan(found.difference) and found.se is None and found.flaw is not None


def test_identical_times_have_no_spread() -> None:
    assert welch([2.0] * 5, [2.0] * 6) == Contrast(difference=0.0, se=0.0, degrees_of_freedom=9.0)
    assert sessions([2.0] * 5, [3.0] * 2) == Contrast(difference=1.0, se=0.0, degrees_of_freedom=5.0)


def test_logs() -> None:
    assert positive_logs([1.0, math.e]).tolist() == [0.0, 1.0]
    assert positive_logs([0.0, -3.0]).tolist() == [-math.inf, -math.inf]


def test_the_rank_test_is_exact_and_needs_five_a_side() -> None:
    low, high = np.arange(5.0), 10 + np.arange(5.0)
    # All of one side above the other: 2 of the 252 ways to choose five of ten.
    assert mann_whitney(low, high) == mann_whitney(high, low) == pytest.approx(2 / 252)
    assert mann_whitney(low[:4], high) is None and mann_whitney(low, high[:4]) is None


@pytest.mark.parametrize("candidate", [[4.0, 5.0, 6.0, 7.0, 8.0], [9.0, 9.0, 10.0, 11.0, 12.0], [5, 6, 7, 8, math.nan]])
def test_the_rank_test_is_silent_where_it_is_not_exact(candidate: list[float]) -> None:
    assert mann_whitney(np.arange(5.0), candidate) is None
