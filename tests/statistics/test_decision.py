"""The decision: each verdict and its edges, and what holds whatever the numbers are."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trilemma.statistics import decision
from trilemma.statistics.contrasts import Contrast, Flaw
from trilemma.statistics.decision import Decision, confirmed, decide

MIRROR = {"REGRESSED": "IMPROVED", "IMPROVED": "REGRESSED"}


def difference(
    worse: float,
    se: float | None,
    degrees_of_freedom: float | None = None,
    margin: float = 1.0,
    flaw: Flaw | None = None,
) -> decision.Test:
    return decision.Test(worse=worse, se=se, degrees_of_freedom=degrees_of_freedom, margin=margin, flaw=flaw)


def alone(test: decision.Test) -> Decision:
    return decide([test])[0]


# z(0.99) = 2.326, t(0.99) at 4 degrees of freedom = 3.747, at 8 = 2.896.
@pytest.mark.parametrize(
    ("worse", "se", "degrees_of_freedom", "margin", "verdict", "reason"),
    [
        (3.0, 1.0, None, 1.0, "REGRESSED", "bound_above_zero_and_margin"),
        (-3.0, 1.0, None, 1.0, "IMPROVED", "bound_below_zero_and_margin"),
        (2.33, 1.0, math.inf, 1.0, "REGRESSED", "bound_above_zero_and_margin"),
        (2.32, 1.0, math.inf, 1.0, "INCONCLUSIVE", "within_noise"),
        (3.0, 1.0, 4, 1.0, "INCONCLUSIVE", "within_noise"),
        (3.8, 1.0, 4, 1.0, "REGRESSED", "bound_above_zero_and_margin"),
        (2.85, 1.0, 8, 1.0, "INCONCLUSIVE", "within_noise"),
        (2.95, 1.0, 8, 1.0, "REGRESSED", "bound_above_zero_and_margin"),
        (3.0, 1.0, None, 4.0, "INCONCLUSIVE", "below_margin"),
        (-3.0, 1.0, None, 4.0, "INCONCLUSIVE", "below_margin"),
        (3.0, 1.0, None, 3.0, "INCONCLUSIVE", "below_margin"),
        (3.0, 1.0, None, 6.0, "SAME", "equivalent"),
        (0.1, 0.1, None, 1.0, "SAME", "equivalent"),
        (0.1, 1.0, None, 1.0, "INCONCLUSIVE", "within_noise"),
        (0.0, 0.0, None, 0.0, "SAME", "identical_values"),
        (0.0, 0.0, 7, 1.0, "SAME", "identical_values"),
        (0.5, 0.0, None, 1.0, "SAME", "equivalent"),
        (1.0, 0.0, None, 1.0, "SAME", "equivalent"),
        (1.5, 0.0, None, 1.0, "REGRESSED", "bound_above_zero_and_margin"),
        (-1.5, 0.0, 3, 1.0, "IMPROVED", "bound_below_zero_and_margin"),
        (1e-9, 0.0, None, 0.0, "REGRESSED", "bound_above_zero_and_margin"),
        (5.0, None, None, 1.0, "INCONCLUSIVE", "no_standard_error"),
        (0.0, None, 4, 1.0, "INCONCLUSIVE", "no_standard_error"),
        (math.nan, 1.0, None, 1.0, "INVALID", "not_finite"),
        (math.inf, 1.0, None, 1.0, "INVALID", "not_finite"),
        (math.nan, None, None, 1.0, "INVALID", "not_finite"),
        (0.0, math.nan, None, 1.0, "INVALID", "not_finite"),
        (0.0, math.inf, None, 1.0, "INVALID", "not_finite"),
        (0.0, -1.0, None, 1.0, "INVALID", "not_finite"),
        (0.0, 1.0, math.nan, 1.0, "INVALID", "not_finite"),
        (0.0, 1.0, 0, 1.0, "INVALID", "not_finite"),
        (0.0, 1.0, None, math.nan, "INVALID", "not_finite"),
        (0.0, 1.0, None, math.inf, "INVALID", "not_finite"),
        (0.0, 0.1, None, -1.0, "INVALID", "not_finite"),
    ],
)
def test_each_verdict(
    worse: float, se: float | None, degrees_of_freedom: float | None, margin: float, verdict: str, reason: str
) -> None:
    found = alone(difference(worse, se, degrees_of_freedom, margin))
    assert (found.verdict, found.reason) == (verdict, reason)


@pytest.mark.parametrize(
    ("flaw", "verdict"),
    [
        ("too_few_sessions", "INCONCLUSIVE"),
        ("too_few_processes", "INCONCLUSIVE"),
        ("no_standard_error", "INCONCLUSIVE"),
        ("not_finite", "INVALID"),
        ("zero_where_positive", "INVALID"),
    ],
)
def test_a_known_flaw_decides_whatever_the_numbers_say(flaw: Flaw, verdict: str) -> None:
    for worse in (0.0, 50.0, -50.0):
        found = alone(difference(worse, 1.0, flaw=flaw))
        assert (found.verdict, found.reason, found.p_adjusted, found.detectable) == (verdict, flaw, None, None)


def test_too_little_data_still_shows_its_bounds_and_bad_numbers_do_not() -> None:
    few = alone(difference(5.0, 1.0, 4, flaw="too_few_sessions"))
    assert few.lower == pytest.approx(5 - 3.747, abs=1e-3) and few.p == pytest.approx(0.00375, abs=1e-4)
    assert alone(difference(math.nan, 1.0, flaw="too_few_sessions")).verdict == "INVALID"
    assert alone(difference(5.0, 1.0, flaw="zero_where_positive")).lower is None


def test_nothing_to_decide() -> None:
    assert decide([]) == []


def test_bounds_and_p_are_those_of_the_tables() -> None:
    found = alone(difference(2.0, 1.0, 8, margin=0.0))
    assert (found.lower, found.upper) == (pytest.approx(2 - 2.896459, abs=1e-5), pytest.approx(2 + 2.896459, abs=1e-5))
    assert alone(difference(1.860, 1.0, 8)).p == pytest.approx(0.05, abs=1e-4)
    assert alone(difference(-1.860, 1.0, 8)).p == pytest.approx(0.05, abs=1e-4)
    assert alone(difference(1.645, 1.0)).p == pytest.approx(0.05, abs=1e-4)


def test_holm_takes_an_alarm_back_that_one_series_would_raise() -> None:
    suspicious, quiet = difference(2.5, 1.0), difference(0.0, 1.0)
    assert alone(suspicious).verdict == "REGRESSED"
    among_many = decide([suspicious, *[quiet] * 9])[0]
    assert (among_many.verdict, among_many.reason) == ("INCONCLUSIVE", "not_significant_after_holm")
    assert among_many.p_adjusted == pytest.approx(10 * alone(suspicious).p)


def test_improvements_and_series_without_a_test_do_not_dilute_the_alarms() -> None:
    # p = 0.0062: alone significant, and among two no longer.
    alarm, better = difference(2.5, 1.0), difference(-9.0, 1.0)
    flawed = [difference(0.0, None), difference(math.nan, 1.0), difference(0.0, 1.0, flaw="too_few_sessions")]
    assert decide([alarm, *flawed])[0].verdict == "REGRESSED"
    found = decide([better, *[difference(0.0, 1.0)] * 50])
    assert found[0].verdict == "IMPROVED"
    assert found[0].p_adjusted < 1e-10


def test_the_strongest_is_called_first_and_frees_the_next() -> None:
    # Holm: 2 · 0.0001 and 1 · 0.0062 are below 0.01; Bonferroni would refuse the second.
    assert [one.verdict for one in decide([difference(2.5, 1.0), difference(3.7, 1.0)])] == ["REGRESSED"] * 2


def test_another_significance_moves_the_bounds_with_the_verdict() -> None:
    test = difference(2.0, 1.0)
    assert decide([test], significance=0.01)[0].verdict == "INCONCLUSIVE"
    lenient = decide([test], significance=0.05)[0]
    assert lenient.verdict == "REGRESSED" and lenient.lower == pytest.approx(2 - 1.645, abs=1e-3)


@pytest.mark.parametrize(("better", "worse"), [("lower", 0.2), ("higher", -0.2)])
def test_a_contrast_is_turned_so_that_positive_is_worse(better: Any, worse: float) -> None:
    contrast = Contrast(difference=0.2, se=0.1, degrees_of_freedom=7.5, flaw="too_few_processes")
    assert decision.Test.of_contrast(contrast, 0.03, better=better) == difference(
        worse, 0.1, 7.5, 0.03, "too_few_processes"
    )


@pytest.mark.parametrize(
    ("repeated", "verdict", "reason"),
    [
        (difference(5.0, 1.0), "REGRESSED", "bound_above_zero_and_margin"),
        (difference(2.0, 1.0), "REGRESSED", "bound_above_zero_and_margin"),  # beyond 1.645, not beyond 2.326
        (difference(1.5, 1.0), "INCONCLUSIVE", "not_confirmed"),
        (difference(2.0, 0.1, margin=3.0), "INCONCLUSIVE", "not_confirmed"),
        (difference(0.0, 0.0), "INCONCLUSIVE", "not_confirmed"),
        (difference(-9.0, 1.0), "INCONCLUSIVE", "not_confirmed"),
        (difference(9.0, None), "INCONCLUSIVE", "not_confirmed"),
        (difference(9.0, 1.0, flaw="too_few_sessions"), "INCONCLUSIVE", "not_confirmed"),
        (difference(math.nan, 1.0), "INVALID", "not_finite"),
    ],
)
def test_an_alarm_must_repeat(repeated: decision.Test, verdict: str, reason: str) -> None:
    first = alone(difference(4.0, 1.0))
    found = confirmed(first, repeated)
    assert (found.verdict, found.reason) == (verdict, reason)
    if verdict == "INCONCLUSIVE":
        assert found == replace(first, verdict="INCONCLUSIVE", reason="not_confirmed")


@pytest.mark.parametrize("first", [difference(-4.0, 1.0), difference(0.0, 0.1), difference(0.0, 1.0)])
def test_what_is_no_alarm_needs_no_confirmation(first: decision.Test) -> None:
    assert confirmed(alone(first), difference(9.0, 1.0)) == alone(first)


@pytest.mark.parametrize(
    ("degrees_of_freedom", "margin", "family"),
    [(8, 0.0, 1), (5, 0.0, 12), (4, 9.0, 1), (None, 0.0, 1), (None, 9.0, 12), (1, 0.0, 1)],
)
def test_the_detectable_worsening_is_found_four_times_in_five(
    degrees_of_freedom: int | None, margin: float, family: int
) -> None:
    design = difference(0.0, 1.0, degrees_of_freedom, margin)
    smallest = design.detectable(0.01, family)
    rng, found = np.random.default_rng(0), 0
    for _ in range(2000):
        se = 1.0 if degrees_of_freedom is None else math.sqrt(rng.chisquare(degrees_of_freedom) / degrees_of_freedom)
        seen = replace(design, worse=smallest + rng.normal(), se=se)
        found += decide([seen, *[difference(-9.0, 1.0)] * (family - 1)])[0].verdict == "REGRESSED"
    assert found / 2000 == pytest.approx(0.8, abs=0.03)


def test_where_margin_and_significance_bind_alike_it_is_found_a_little_less_often() -> None:
    design = difference(0.0, 1.0, None, margin=2.326)
    assert design.detectable() == pytest.approx(2.326 + 0.842, abs=2e-3)
    assert difference(0.0, 0.0, None, margin=2.0).detectable() == 2.0


numbers = st.floats(-1e3, 1e3).map(lambda x: round(x, 6))
tests = st.builds(
    difference,
    worse=numbers,
    se=st.floats(0, 100).map(lambda x: round(x, 6)),
    degrees_of_freedom=st.none() | st.floats(1, 100),
    margin=st.floats(0, 100).map(lambda x: round(x, 6)),
)
families = st.lists(tests, min_size=1, max_size=6)
repeatable = settings(max_examples=100, derandomize=True)


def verdicts(tests: list[decision.Test]) -> list[str]:
    return [found.verdict for found in decide(tests)]


@repeatable
@given(families)
def test_swapping_the_sides_swaps_improved_and_regressed(family: list[decision.Test]) -> None:
    swapped = decide([replace(test, worse=-test.worse) for test in family])
    for there, back in zip(decide(family), swapped, strict=True):
        assert back.verdict == MIRROR.get(there.verdict, there.verdict)
        assert (back.lower, back.upper) == (-there.upper, -there.lower)
        assert (back.p, back.p_adjusted, back.detectable) == (there.p, there.p_adjusted, there.detectable)


@repeatable
@given(families, st.integers(-20, 20))
def test_the_unit_does_not_matter(family: list[decision.Test], exponent: int) -> None:
    # Powers of two, so that no rounding enters.
    scale = 2.0**exponent
    scaled = [
        replace(test, worse=test.worse * scale, se=test.se * scale, margin=test.margin * scale) for test in family
    ]
    for there, back in zip(decide(family), decide(scaled), strict=True):
        assert (back.verdict, back.reason, back.p_adjusted) == (there.verdict, there.reason, there.p_adjusted)
        assert back.lower == there.lower * scale


@repeatable
@given(families)
@example([difference(2.5, 1.0), difference(2.5, 1.0)])
def test_more_series_never_raise_an_alarm_that_one_alone_does_not(family: list[decision.Test]) -> None:
    for together, test in zip(decide(family), family, strict=True):
        single = alone(test)
        assert together.p_adjusted >= together.p or together.p_adjusted == 1.0
        assert together.verdict == single.verdict or together.reason == "not_significant_after_holm"
        if together.reason == "not_significant_after_holm":
            assert single.verdict in ("REGRESSED", "IMPROVED")


@repeatable
@given(families, st.randoms(use_true_random=False))
def test_the_order_does_not_matter(family: list[decision.Test], random: Any) -> None:
    order = list(range(len(family)))
    random.shuffle(order)
    found = decide(family)
    assert decide([family[position] for position in order]) == [found[position] for position in order]


@repeatable
@given(tests)
def test_the_conditions_of_the_rule_exclude_each_other(test: decision.Test) -> None:
    lower, upper = test.bounds()
    regressed = lower > 0 and test.worse > test.margin
    improved = upper < 0 and test.worse < -test.margin
    same = -test.margin <= lower and upper <= test.margin
    assert regressed + improved + same <= 1
    expected = {(True, False, False): "REGRESSED", (False, True, False): "IMPROVED", (False, False, True): "SAME"}
    assert alone(test).verdict == expected.get((regressed, improved, same), "INCONCLUSIVE")


@repeatable
@given(tests, st.floats(0.001, 0.4), st.floats(0.001, 0.4))
def test_bounds_are_nested(test: decision.Test, one: float, other: float) -> None:
    (outer_low, outer_high), (low, high) = test.bounds(min(one, other)), test.bounds(max(one, other))
    assert outer_low <= low <= test.worse <= high <= outer_high


@repeatable
@given(tests, st.floats(0, 100))
def test_what_is_worse_still_is_never_judged_better(test: decision.Test, more: float) -> None:
    # From IMPROVED up, a larger worsening climbs; SAME and INCONCLUSIVE lie between.
    rank = {"IMPROVED": -1, "SAME": 0, "INCONCLUSIVE": 0, "REGRESSED": 1}
    worse = replace(test, worse=test.worse + more)
    assert rank[alone(worse).verdict] >= rank[alone(test).verdict]
    assert worse.p <= test.p
