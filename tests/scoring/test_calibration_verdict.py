"""Verdicts: one word from a few values and their errors."""

from __future__ import annotations

import pytest

from trilemma.scoring.calibration_verdict import Reading, Verdict, judge, kendall_tau, severity_tau


def readings(*values: float | None, se: float | None = 0.1) -> list[Reading]:
    return [Reading(value=value, se=None if value is None else se) for value in values]


CLEAN = Reading(value=1.0, se=0.1)


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((1.1, 1.5, 2.0), "saw"),
        ((1.1, 2.0, 1.9), "saw"),  # a step back within the errors
        ((1.1, 3.0, 2.0), "uneven"),  # a step back beyond them
        ((0.2, 1.5, 2.0), "uneven"),  # better at first
        ((1.1, 2.0, 1.2), "uneven"),  # seen, and lost again
        ((1.1, 1.2, 1.3), "blind"),
        ((1.1, 0.7, 0.2), "wrong way"),
        ((1.1, 2.0, None), "saw"),  # what was not measured is left out
        ((None, None, None), "not measured"),
    ],
)
def test_verdicts_where_lower_is_better(values: tuple[float | None, ...], verdict: Verdict) -> None:
    assert judge(CLEAN, readings(*values), "lower") == verdict


@pytest.mark.parametrize(("values", "verdict"), [((0.9, 0.5, 0.2), "saw"), ((1.1, 1.5, 2.0), "wrong way")])
def test_verdicts_where_higher_is_better(values: tuple[float, ...], verdict: Verdict) -> None:
    assert judge(CLEAN, readings(*values), "higher") == verdict


@pytest.mark.parametrize(
    ("values", "verdict"), [((1.1, 0.8), "steady"), ((1.1, 2.0), "drifts"), ((0.1, 1.0), "drifts")]
)
def test_images_that_stay_good_must_not_move_a_metric(values: tuple[float, ...], verdict: Verdict) -> None:
    assert judge(CLEAN, readings(*values), "lower", steady=True) == verdict


def test_three_standard_errors_of_a_difference_are_the_border() -> None:
    border = 1.0 + 3 * (0.1**2 + 0.1**2) ** 0.5
    assert judge(CLEAN, readings(border - 0.001), "lower") == "blind"
    assert judge(CLEAN, readings(border + 0.001), "lower") == "saw"


def test_without_any_error_equal_is_blind_and_unequal_is_seen() -> None:
    clean = Reading(value=1.0, se=0.0)
    assert judge(clean, readings(1.0, se=0.0), "lower") == "blind"
    assert judge(clean, readings(1.1, se=0.0), "lower") == "saw"


def test_a_value_without_its_error_is_no_evidence() -> None:
    assert judge(CLEAN, readings(5.0, se=None), "lower") == "not measured"
    assert judge(Reading(value=1.0, se=None), readings(5.0), "lower") == "not measured"


def test_severity_tau() -> None:
    assert severity_tau(CLEAN, readings(1.1, 1.2, 1.3), "lower") == pytest.approx(1)
    assert severity_tau(CLEAN, readings(1.1, 1.2, 1.3), "higher") == pytest.approx(-1)
    assert severity_tau(CLEAN, readings(1.2, 1.1, 1.3), "lower") == pytest.approx(4 / 6)
    assert severity_tau(CLEAN, readings(1.1, None, None), "lower") is None
    assert severity_tau(CLEAN, readings(1.0, 1.0), "lower") is None  # ties throughout: no order


def test_kendall_tau_by_hand() -> None:
    assert kendall_tau([(1, 1), (2, 3), (3, 2)]) == pytest.approx(1 / 3)
