"""Estimates and their intervals: quantiles from tables, and no interval where there is no standard error."""

import math

import numpy as np
import pytest

from trilemma.errors import UserError
from trilemma.statistics.estimate import Estimate, missing, too_few
from trilemma.statistics.intervals import log_interval, normal_interval, t_interval, wilson_interval
from trilemma.statistics.means import mean_estimate


def test_quantiles_are_those_of_the_tables() -> None:
    assert normal_interval(0, 1)[1] == pytest.approx(1.959964, abs=1e-6)
    assert t_interval(0, 1, 19)[1] == pytest.approx(2.093024, abs=1e-6)
    assert t_interval(0, 1, 7, level=0.99)[1] == pytest.approx(3.499483, abs=1e-6)


def test_wilson_interval_matches_a_published_example() -> None:
    # Newcombe, Statistics in Medicine 17 (1998), Table I: 81 of 263 gives 0.2553 to 0.3662.
    assert wilson_interval(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_wilson_interval_keeps_a_width_when_all_succeed() -> None:
    low, high = wilson_interval(1.0, 100)
    assert high == 1.0
    assert 0.95 < low < 0.97


def test_the_interval_follows_the_method() -> None:
    normal = Estimate(value=1.0, se=0.5, se_method="delta", n=10)
    student = Estimate(value=1.0, se=0.5, se_method="blocks", n=10, degrees_of_freedom=3)
    share = Estimate(value=1.0, se=0.0, se_method="binomial", n=10)
    assert normal.interval() == normal_interval(1.0, 0.5)
    assert student.interval() == t_interval(1.0, 0.5, 3)
    assert share.interval() == wilson_interval(1.0, 10)


def test_on_the_log_scale_the_interval_is_that_of_the_logarithm() -> None:
    estimate = Estimate(value=2.0, se=0.5, se_method="influence", n=10, degrees_of_freedom=7, scale="log")
    low, high = estimate.interval()
    assert (math.log(low), math.log(high)) == pytest.approx(t_interval(math.log(2), 0.25, 7))
    assert log_interval(2.0, 0.5, math.inf) == pytest.approx((2 * math.exp(-0.48999), 2 * math.exp(0.48999)), rel=1e-5)
    assert math.isfinite(log_interval(1.0, 0.99, 1, level=0.9999)[1])


@pytest.mark.parametrize("value", [0.3, 0.0, -0.2])
def test_an_error_as_large_as_the_value_leaves_the_linear_scale(value: float) -> None:
    estimate = Estimate(value=value, se=0.3, se_method="influence", n=10, degrees_of_freedom=7, scale="log")
    assert estimate.interval() == t_interval(value, 0.3, 7)


def test_no_interval_without_a_value_or_an_error() -> None:
    assert missing("the weights are not at hand", n=0).interval() is None
    assert Estimate(value=1.0, se=None, se_method="none", n=1).interval() is None


def test_too_few_names_the_number_needed() -> None:
    few = too_few(3, needed=40)
    assert (few.value, few.status) == (None, "skipped")
    assert few.reason is not None and "40" in few.reason and "3" in few.reason


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, math.nan])
def test_a_level_outside_zero_to_one_is_refused(level: float) -> None:
    with pytest.raises(UserError):
        normal_interval(0, 1, level)


def test_the_logarithm_scales_errors_and_replicates_alike() -> None:
    whole = mean_estimate(np.random.default_rng(0).normal(4.0, 1.0, size=200))
    log = whole.logarithm()
    assert whole.value is not None and whole.se is not None
    assert (log.value, log.se) == pytest.approx((math.log(whole.value), whole.se / whole.value))
    assert log.replicates[0].error().se == pytest.approx(log.se)  # type: ignore[union-attr]


@pytest.mark.parametrize(("value", "why"), [(0.0, "not above 0"), (-1.0, "not above 0"), (0.4, "does not exceed")])
def test_there_is_no_logarithm_about_zero(value: float, why: str) -> None:
    log = Estimate(value=value, se=0.5, se_method="mean", n=10).logarithm()
    assert log.value is None and why in str(log.reason)


def test_a_share_s_logarithm_has_no_wilson_interval() -> None:
    log = Estimate(value=0.5, se=0.05, se_method="binomial", n=100).logarithm()
    assert log.interval() == pytest.approx(normal_interval(math.log(0.5), 0.1))
