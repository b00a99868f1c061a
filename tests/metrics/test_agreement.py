"""Averages over images: what counts as right, what lies off the manifold."""

import numpy as np
import pytest

from trilemma.errors import UserError
from trilemma.metrics.agreement import clip_score, mean_residual, off_manifold_rate, prompt_accuracy


def test_one_wrong_factor_makes_the_image_wrong() -> None:
    target = np.array([[1, 2, 3], [4, 5, 6], [0, 0, 0], [7, 7, 7]])
    read = target.copy()
    read[1, 2] = 0
    estimate = prompt_accuracy(read, target)
    assert (estimate.value, estimate.se_method, estimate.n) == (0.75, "binomial", 4)


def test_accuracy_clusters_by_prompt_when_asked() -> None:
    target = np.repeat(np.arange(40).reshape(20, 2), 5, axis=0)
    read = np.where(np.arange(100)[:, None] // 5 % 2 == 0, target, -1)
    assert prompt_accuracy(read, target, np.arange(100) // 5).se > 2 * prompt_accuracy(read, target).se


def test_clip_score_and_residual_are_means() -> None:
    assert clip_score([20.0, 30.0]).value == 25.0
    assert mean_residual([1.0, 2.0, 6.0]).value == 3.0
    assert clip_score([]).status == "skipped"


def test_images_on_the_threshold_are_on_the_manifold() -> None:
    assert off_manifold_rate([1.0, 2.0, 3.0, 4.0], 3.0).value == 0.25


def test_bad_data_is_refused() -> None:
    with pytest.raises(UserError):
        prompt_accuracy(np.zeros((3, 2)), np.zeros((3, 3)))
    with pytest.raises(UserError, match="asked for"):
        prompt_accuracy(np.zeros((3, 3)), np.full((3, 3), -1))
    with pytest.raises(UserError, match="not finite"):
        clip_score([np.nan])
