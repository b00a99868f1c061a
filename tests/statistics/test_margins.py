"""Margins: the largest of three counts, on the scale of the difference."""

import math

import pytest

from trilemma.errors import UserError
from trilemma.statistics.margins import Margin


@pytest.mark.parametrize(
    ("margin", "baseline", "expected", "part"),
    [
        (Margin(relative=0.01, absolute=0.1), 40.0, 0.4, "relative"),
        (Margin(relative=0.01, absolute=0.1), -40.0, 0.4, "relative"),
        (Margin(relative=0.01, absolute=0.1), 4.0, 0.1, "absolute"),
        (Margin(relative=0.01, absolute=0.1, noise=0.2), 4.0, 0.6, "noise"),
        (Margin(), 4.0, 0.0, "relative"),
    ],
)
def test_the_largest_part_counts(margin: Margin, baseline: float, expected: float, part: str) -> None:
    assert margin.of(baseline) == pytest.approx(expected)
    assert margin.largest(baseline) == part


def test_on_the_log_scale_an_absolute_margin_is_a_share_of_the_baseline() -> None:
    margin = Margin(relative=0.03, absolute=0.002, noise=0.005)
    assert margin.of_log(0.003) == pytest.approx(2 / 3) and margin.largest(0.003, log=True) == "absolute"
    assert margin.of_log(2.0) == 0.03 and margin.largest(2.0, log=True) == "relative"
    assert Margin(relative=0.03, noise=0.02).of_log(2.0) == pytest.approx(0.06)


@pytest.mark.parametrize("name", ["relative", "absolute", "noise"])
@pytest.mark.parametrize("value", [-0.01, math.nan, math.inf])
def test_a_margin_that_is_none_is_refused(name: str, value: float) -> None:
    with pytest.raises(UserError, match=name):
        Margin(**{name: value})


def test_a_baseline_that_is_no_number_gives_no_margin() -> None:
    assert math.isnan(Margin(relative=0.01, absolute=0.1).of(math.nan))
