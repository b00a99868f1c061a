"""Means: the textbook standard error, and clusters that widen it exactly when they should."""

import math

import numpy as np
import pytest

from trilemma.errors import UserError
from trilemma.statistics.means import mean_estimate, proportion_estimate


def test_mean_and_its_error_are_the_textbook_ones() -> None:
    values = np.array([1.0, 2.0, 4.0, 9.0])
    estimate = mean_estimate(values)
    assert estimate.value == 4.0
    assert estimate.se == pytest.approx(values.std(ddof=1) / 2)
    assert (estimate.se_method, estimate.degrees_of_freedom, estimate.n) == ("mean", 3, 4)


def test_one_cluster_for_each_value_changes_nothing() -> None:
    values = np.random.default_rng(0).normal(size=50)
    assert mean_estimate(values, np.arange(50)).se == pytest.approx(mean_estimate(values).se)


def test_copies_of_a_value_do_not_shrink_the_clustered_error() -> None:
    values = np.random.default_rng(0).normal(size=30)
    repeated, labels = np.repeat(values, 8), np.repeat(np.arange(30), 8)
    assert mean_estimate(repeated, labels).se == pytest.approx(mean_estimate(values).se)
    assert mean_estimate(repeated).se < 0.5 * mean_estimate(values).se


def test_proportion_has_the_binomial_error() -> None:
    estimate = proportion_estimate(np.arange(10) < 3)
    assert estimate.value == pytest.approx(0.3)
    assert estimate.se == pytest.approx(math.sqrt(0.3 * 0.7 / 10))
    assert estimate.se_method == "binomial"


def test_little_data_gives_a_reason_or_no_error() -> None:
    assert mean_estimate([]).status == "skipped"
    assert proportion_estimate([]).status == "skipped"
    single = mean_estimate([3.0])
    assert (single.value, single.se, single.se_method) == (3.0, None, "none")


def test_what_is_not_finite_is_refused() -> None:
    with pytest.raises(UserError, match="not finite"):
        mean_estimate([1.0, math.nan])
    with pytest.raises(UserError, match="cluster labels"):
        mean_estimate([1.0, 2.0], [1])
