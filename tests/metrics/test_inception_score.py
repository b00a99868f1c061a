"""Inception score: its two extremes, factors against joint classes, splits, and the jackknife."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trilemma.errors import UserError
from trilemma.metrics.inception_score import (
    inception_score,
    inception_score_of_factors,
    inception_score_of_logits,
    joint_probabilities,
)


def test_uniform_posteriors_score_one() -> None:
    estimate = inception_score(np.full((100, 7), 1 / 7))
    assert estimate.value == pytest.approx(1)
    assert estimate.se == pytest.approx(0, abs=1e-12)


def test_balanced_one_hot_posteriors_score_the_number_of_classes() -> None:
    assert inception_score(np.tile(np.eye(10), (8, 1))).value == pytest.approx(10)


def test_joint_posteriors_are_products_with_the_last_factor_fastest() -> None:
    logits = np.random.default_rng(0).normal(size=(3, 2 + 3))
    joint = joint_probabilities(logits, (2, 3))
    first, second = (np.exp(part) / np.exp(part).sum(axis=1, keepdims=True) for part in (logits[:, :2], logits[:, 2:]))
    assert joint.shape == (3, 6)
    assert joint[1, 1 * 3 + 2] == pytest.approx(first[1, 1] * second[1, 2])
    np.testing.assert_allclose(joint.sum(axis=1), 1)


def test_factors_give_the_score_of_their_joint_classes() -> None:
    logits = 3 * np.random.default_rng(0).normal(size=(200, 24))
    of_factors = inception_score_of_factors(logits, (8, 8, 8))
    of_joint = inception_score(joint_probabilities(logits, (8, 8, 8)))
    assert of_factors.value == pytest.approx(of_joint.value)
    assert of_factors.se == pytest.approx(of_joint.se)


def test_it_equals_the_definition() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(5), size=64)
    expected = np.exp(np.mean(np.sum(p * np.log(p / p.mean(axis=0)), axis=1)))
    assert inception_score(p).value == pytest.approx(expected)


def test_splits_are_runs_of_equal_length() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(5), size=403)
    runs = [p[i * 403 // 4 : (i + 1) * 403 // 4] for i in range(4)]
    expected = np.mean([np.exp(np.mean(np.sum(q * np.log(q / q.mean(axis=0)), axis=1))) for q in runs])
    assert inception_score(p, splits=4, shuffle=False).value == pytest.approx(expected)
    assert inception_score(p, splits=4).value != pytest.approx(expected, rel=1e-9)


def test_jackknife_leaves_groups_out() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(5), size=60)
    left_out = [inception_score(p[np.arange(60) % 3 != g], groups=2).value for g in range(3)]
    expected = np.sqrt(2 / 3 * np.sum((np.array(left_out) - np.mean(left_out)) ** 2))
    assert inception_score(p, groups=3, shuffle=False).se == pytest.approx(expected)


def test_standard_error_agrees_with_monte_carlo() -> None:
    rng = np.random.default_rng(0)
    estimates = [inception_score(rng.dirichlet(np.full(10, 0.2), size=400)) for _ in range(200)]
    stated = np.sqrt(np.mean([e.se**2 for e in estimates]))
    assert stated == pytest.approx(np.std([e.value for e in estimates], ddof=1), rel=0.15)


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 5))
@settings(max_examples=25, derandomize=True)
def test_the_score_lies_between_one_and_the_classes_in_any_order(seed: int, concentration: float) -> None:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(6, concentration), size=50)
    value = inception_score(p).value
    assert 1 - 1e-12 <= value <= 6 + 1e-12
    assert inception_score(p[rng.permutation(50)]).value == pytest.approx(value)


def test_bad_posteriors_are_refused_and_few_skipped() -> None:
    with pytest.raises(UserError, match="sum to 1"):
        inception_score(np.full((100, 4), 0.5))
    with pytest.raises(UserError, match="logits"):
        inception_score_of_factors(np.zeros((100, 23)), (8, 8, 8))
    few = inception_score(np.full((39, 4), 0.25))
    assert few.status == "skipped" and few.reason is not None and "40" in few.reason
    assert inception_score_of_factors(np.zeros((5, 24)), (8, 8, 8)).status == "skipped"


def test_logits_give_the_score_of_their_softmax() -> None:
    logits = (3 * np.random.default_rng(0).normal(size=(90, 11))).astype(np.float32)
    odds = np.exp(logits.astype(np.float64))
    of_posteriors = inception_score(odds / odds.sum(axis=1, keepdims=True), splits=2, seed=4)
    of_logits = inception_score_of_logits(logits, splits=2, seed=4)
    assert of_logits.value == pytest.approx(of_posteriors.value, rel=1e-12)
    assert of_logits.se == pytest.approx(of_posteriors.se, rel=1e-9)


def test_clusters_widen_the_error_of_repeated_images() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(5) / 2, size=200)
    repeated, clusters = np.repeat(p, 4, axis=0), np.repeat(np.arange(200), 4)
    together, apart = inception_score(repeated, clusters=clusters), inception_score(repeated)
    assert together.value == pytest.approx(apart.value)
    assert together.se is not None and apart.se is not None and together.se > 1.4 * apart.se
    assert together.se_method == "group_jackknife_clustered"
    assert inception_score(repeated, clusters=clusters // 10).status == "skipped"
