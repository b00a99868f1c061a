"""Paired differences: shared noise cancels, and lengths that differ are no pairs."""

import numpy as np
import pytest

from trilemma.errors import UserError
from trilemma.statistics.jackknife import delete_each_group, group_labels
from trilemma.statistics.means import mean_estimate
from trilemma.statistics.paired import paired_difference, paired_influence, paired_jackknife


def test_shared_noise_cancels() -> None:
    rng = np.random.default_rng(0)
    shared = rng.normal(size=500)
    baseline, candidate = shared, shared + 0.1 + 0.01 * rng.normal(size=500)
    difference = paired_difference(baseline, candidate)
    assert difference.value == pytest.approx(0.1, abs=0.005)
    assert difference.se < 0.02 * mean_estimate(baseline).se


def test_swapping_the_sides_changes_the_sign_alone() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 30))
    there, back = paired_difference(a, b), paired_difference(b, a)
    assert there.value == pytest.approx(-back.value)
    assert there.se == pytest.approx(back.se)


def test_influence_carries_the_error_and_the_values_the_difference() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 100))
    estimate = paired_influence(5.0, 7.0, a, b)
    assert estimate.value == 2.0
    assert estimate.se == pytest.approx((b - a).std(ddof=1) / 10)


def test_clusters_are_units() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 20))
    clustered = paired_difference(np.repeat(a, 3), np.repeat(b, 3), np.repeat(np.arange(20), 3))
    assert clustered.se == pytest.approx(paired_difference(a, b).se)
    assert clustered.se_method == "difference_clustered"


def test_what_is_no_pair_is_refused() -> None:
    with pytest.raises(UserError, match="same samples"):
        paired_difference([1.0, 2.0], [1.0])
    assert paired_difference([], []).status == "skipped"
    assert paired_difference([1.0], [2.0]).status == "skipped"
    assert paired_difference([1.0, 2.0], [2.0, 2.0], [0, 0]).status == "skipped"


def test_paired_jackknife_cancels_what_both_share() -> None:
    shared = np.random.default_rng(0).normal(size=20)
    difference = paired_jackknife(1.0, 1.5, 1 + shared, 1.5 + shared, n=400)
    assert (difference.value, difference.se) == (0.5, pytest.approx(0, abs=1e-12))
    assert (difference.n, difference.degrees_of_freedom, difference.se_method) == (400, 19, "difference_jackknife")
    with pytest.raises(UserError, match="same groups"):
        paired_jackknife(1.0, 1.5, shared, shared[1:], n=400)
    assert paired_jackknife(1.0, 1.5, [1.0], [1.0], n=4).status == "skipped"


def test_paired_jackknife_of_means_is_the_paired_error() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=4000)
    b = a + 0.1 * rng.normal(size=4000) + 0.3
    labels = group_labels(4000)
    without_a, without_b = (delete_each_group(lambda keep, x=x: float(x[keep].mean()), labels) for x in (a, b))
    difference = paired_jackknife(a.mean(), b.mean(), without_a, without_b, n=4000)
    assert difference.se == pytest.approx(paired_difference(a, b).se, rel=0.4)
    assert difference.se is not None and difference.se < 0.3 * a.std() / np.sqrt(4000)
