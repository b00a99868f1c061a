"""Scores: their anchors, clipping, first-order errors against simulation, and what takes a score away."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from trilemma.metrics.copying import copy_test
from trilemma.metrics.scores import (
    Score,
    coverage_score,
    diversity_score,
    quality_score,
    speed_score,
    withhold_if_copying,
)
from trilemma.statistics.estimate import Estimate, missing
from trilemma.statistics.means import mean_estimate
from trilemma.statistics.paired import paired


def number(value: float, se: float | None = 0.0) -> Estimate:
    return Estimate(value=value, se=se, se_method="mean", n=100)


def test_quality_is_ten_for_real_images_and_zero_for_the_control() -> None:
    assert quality_score(number(2.0), number(50.0), number(2.0)).value == pytest.approx(10)
    assert quality_score(number(50.0), number(50.0), number(2.0)).value == pytest.approx(0)
    assert quality_score(number(10.0), number(50.0), number(2.0)).value == pytest.approx(5)


def test_values_are_clipped_and_intervals_are_not() -> None:
    better = quality_score(number(1.0, 0.1), number(50.0), number(2.0))
    worse = quality_score(number(90.0, 0.1), number(50.0), number(2.0))
    assert (better.value, worse.value) == (10, 0)
    assert better.unclipped.value > 10 and worse.unclipped.value < 0
    assert better.interval()[0] > 10 and worse.interval()[1] < 0


def test_speed_is_ten_for_one_pass_and_loses_a_third_of_ten_with_each_decade() -> None:
    assert speed_score(number(1e-3), number(1e-3)).value == pytest.approx(10)
    assert speed_score(number(1e-2), number(1e-3)).value == pytest.approx(20 / 3)
    assert speed_score(number(1.0), number(1e-3)).value == pytest.approx(0, abs=1e-12)


def test_diversity_is_the_mean_of_its_two_halves() -> None:
    assert diversity_score(number(1.0), number(0.5)).value == pytest.approx(7.5)
    assert diversity_score(number(0.8, 0.03), number(0.6, 0.04)).unclipped.se == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("score", "inputs"),
    [
        (quality_score, ((10.0, 0.3), (50.0, 1.0), (2.0, 0.05))),
        (speed_score, ((0.02, 0.0005), (0.001, 0.00003))),
        (diversity_score, ((0.8, 0.01), (0.6, 0.02))),
    ],
)
def test_errors_agree_with_simulation(score: Callable[..., Score], inputs: tuple[tuple[float, float], ...]) -> None:
    rng = np.random.default_rng(0)
    draws = [score(*(number(rng.normal(v, s)) for v, s in inputs)).unclipped.value for _ in range(4000)]
    stated = score(*(number(v, s) for v, s in inputs)).unclipped
    assert stated.se == pytest.approx(np.std(draws), rel=0.06)
    assert stated.se_method == "delta"


def test_a_score_is_known_as_well_as_what_rules_its_error() -> None:
    rough = replace(number(0.8, 0.03), degrees_of_freedom=19)
    assert diversity_score(rough, number(0.6)).unclipped.degrees_of_freedom == pytest.approx(19)
    assert diversity_score(rough, number(0.6, 0.03)).unclipped.degrees_of_freedom == pytest.approx(4 * 19)


def test_scores_are_compared_in_pairs_by_the_replicates_of_their_inputs() -> None:
    rng = np.random.default_rng(0)
    shared = rng.normal(size=200)
    before, after = mean_estimate(10 + shared), mean_estimate(12 + 1.2 * shared)
    anchors = number(50.0, 1.0), number(2.0, 0.1)
    difference = paired(*(quality_score(side, *anchors).unclipped for side in (before, after)))
    # The logarithms move together where the second is 1.2 times the first: nothing but the anchors would be left.
    assert difference.value == pytest.approx(-10 * math.log(after.value / before.value) / math.log(25))
    assert difference.se == pytest.approx(0, abs=1e-3 * quality_score(after, *anchors).unclipped.se)


def test_an_unknown_error_is_not_taken_for_zero() -> None:
    score = quality_score(number(10.0, None), number(50.0, 1.0), number(2.0, 0.1))
    assert score.value is not None
    assert score.unclipped.se is None and score.interval() is None


def test_a_missing_input_takes_the_score_away_with_its_reason() -> None:
    gone = missing("needs at least 20 samples; there are 4", n=4)
    for score in (
        quality_score(gone, number(50.0), number(2.0)),
        quality_score(number(5.0), gone, number(2.0)),
        diversity_score(number(1.0), gone),
        speed_score(gone, number(1.0)),
    ):
        assert score.value is None and score.interval() is None
        assert score.unclipped.reason == gone.reason and score.unclipped.status == "skipped"


def test_anchors_that_make_no_sense_fail_the_score() -> None:
    for score in (
        quality_score(number(5.0), number(2.0), number(2.0)),
        quality_score(number(0.0), number(5.0), number(2.0)),
        quality_score(number(1.0), number(5.0), number(-0.1)),
        speed_score(number(0.0), number(1.0)),
    ):
        assert score.value is None
        assert score.unclipped.status == "failed" and score.unclipped.reason


def test_copying_withholds_the_score_and_says_so() -> None:
    rng = np.random.default_rng(0)
    heldout = 1 + rng.random(1000)
    score = diversity_score(number(1.0), number(1.0))
    assert withhold_if_copying(score, copy_test(1 + rng.random(1000), heldout)) is score
    withheld = withhold_if_copying(score, copy_test(np.zeros(1000), heldout))
    assert withheld.value is None and withheld.unclipped.value is None
    assert withheld.unclipped.status == "withheld"
    assert "100.0%" in str(withheld.unclipped.reason)


def test_scores_are_monotone() -> None:
    distances = [quality_score(number(f), number(50.0), number(2.0)).value for f in (2, 5, 20, 50)]
    assert distances == sorted(distances, reverse=True)
    assert math.isclose(sum(np.diff(distances) < 0), 3)


def test_coverage_is_scored_against_that_of_real_images() -> None:
    assert coverage_score([(number(0.8), number(0.8))]).value == pytest.approx(10)
    assert coverage_score([(number(0.4), number(0.8))]).value == pytest.approx(5)
    both = coverage_score([(number(0.4), number(0.8)), (number(0.9), number(0.9))])
    assert both.value == pytest.approx(7.5)
    more = coverage_score([(number(0.9), number(0.8))])
    assert more.value == 10 and more.unclipped.value == pytest.approx(11.25)


def test_an_error_of_either_coverage_is_one_of_the_score() -> None:
    score = coverage_score([(number(0.4, 0.01), number(0.8, 0.02)), (number(0.6, 0.03), number(0.9, 0.01))])
    parts = [5 * 0.01 / 0.8, 5 * 0.4 * 0.02 / 0.8**2, 5 * 0.03 / 0.9, 5 * 0.6 * 0.01 / 0.9**2]
    assert score.unclipped.se == pytest.approx(math.hypot(*parts))
    assert coverage_score([(number(0.4, 0.01), number(0.8, None))]).interval() is None


def test_without_coverage_there_is_no_score_of_it() -> None:
    gone = missing("needs 50,000 real images to draw from; there are 10,000", n=50_000)
    score = coverage_score([(number(0.4), number(0.8)), (number(0.4), gone)])
    assert score.value is None and score.unclipped.reason == gone.reason
    assert coverage_score([(number(0.4), number(0.0))]).unclipped.status == "failed"
