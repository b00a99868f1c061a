"""Paired differences: shared noise cancels, and lengths that differ are no pairs."""

import numpy as np
import pytest

from trilemma.errors import UserError
from trilemma.statistics.estimate import Estimate, estimate_from
from trilemma.statistics.jackknife import group_labels, jackknife_estimate
from trilemma.statistics.means import mean_estimate
from trilemma.statistics.paired import paired
from trilemma.statistics.replicates import Replicates


def paired_difference(baseline: np.ndarray, candidate: np.ndarray, clusters: np.ndarray | None = None) -> Estimate:
    return paired(mean_estimate(baseline, clusters), mean_estimate(candidate, clusters))


def influenced(value: float, values: np.ndarray, halves: np.ndarray | None = None, cut: str = "") -> Estimate:
    source = Replicates(kind="influence", values_U=values, halves_U=halves, cut=cut)
    return estimate_from(value, source, se_method="influence", n=len(values))


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
    estimate = paired(influenced(5.0, a), influenced(7.0, b))
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
    difference = paired(jackknife_estimate(1.0, 1 + shared, 400), jackknife_estimate(1.5, 1.5 + shared, 400))
    assert (difference.value, difference.se) == (0.5, pytest.approx(0, abs=1e-12))
    assert (difference.n, difference.degrees_of_freedom, difference.se_method) == (400, 19, "difference_jackknife")
    with pytest.raises(UserError, match="same groups"):
        paired(jackknife_estimate(1.0, shared, 400), jackknife_estimate(1.5, shared[1:], 400))
    with pytest.raises(UserError, match="same groups"):
        paired(jackknife_estimate(1.0, shared, 400, cut="one"), jackknife_estimate(1.5, shared, 400, cut="another"))
    assert paired(jackknife_estimate(1.0, [1.0], 4), jackknife_estimate(1.0, [1.0], 4)).status == "skipped"


def test_paired_jackknife_of_means_is_the_paired_error() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=4000)
    b = a + 0.1 * rng.normal(size=4000) + 0.3
    labels = group_labels(4000)
    without_a, without_b = ([x[labels != group].mean() for group in range(20)] for x in (a, b))
    difference = paired(*(jackknife_estimate(x.mean(), left, 4000) for x, left in ((a, without_a), (b, without_b))))
    assert difference.se == pytest.approx(paired_difference(a, b).se, rel=0.4)
    assert difference.se is not None and difference.se < 0.3 * a.std() / np.sqrt(4000)


def test_halves_correct_a_difference_where_both_sides_have_them_cut_alike() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 200))
    large, uncorrected = 4 * rng.normal(size=(2, 200)), (b - a).std(ddof=1) / np.sqrt(200)
    both = paired(influenced(1.0, a, large[0], "cut"), influenced(2.0, b, large[1], "cut"))
    assert both.se == pytest.approx(uncorrected / np.sqrt(2))  # halves this far apart: the bound
    assert paired(influenced(1.0, a, large[0], "cut"), influenced(2.0, b)).se == pytest.approx(uncorrected)
    with pytest.raises(UserError, match="dealt otherwise"):
        paired(influenced(1.0, a, large[0], "cut"), influenced(2.0, b, large[1], "another"))


def test_independent_sources_add_up_and_numbers_without_sources_are_no_pairs() -> None:
    rng = np.random.default_rng(0)
    values, left_out = rng.normal(size=(2, 50)), rng.normal(size=(2, 20))
    sides = [
        estimate_from(
            0.0,
            Replicates(kind="parts", values_U=values[side]),
            Replicates(kind="left_out", values_U=left_out[side]),
            se_method="delta",
            n=50,
        )
        for side in (0, 1)
    ]
    alone = [
        paired_difference(*values).se,
        paired(*(jackknife_estimate(0.0, each, 50) for each in left_out)).se,
    ]
    assert paired(*sides).se == pytest.approx(np.hypot(*alone))
    assert 19 < paired(*sides).degrees_of_freedom < 19 + 49
    with pytest.raises(UserError, match="replicates of both"):
        paired(sides[0], Estimate(value=1.0, se=0.1, se_method="blocks", n=50))
