"""CLIP score: the three conventions, stated and told apart."""

import numpy as np
import pytest

from trilemma.errors import UserError
from trilemma.metrics.clip_score import PLAIN, ClipConvention, clip_score, clip_scores

CLIPSCORE = ClipConvention(scale=2.5, prefix="A photo depicts ", clamp=True)
TORCHMETRICS = ClipConvention(clamp=True)
IMAGES = np.array([[3.0, 4.0], [1.0, 0.0], [0.0, 2.0]])
TEXTS = np.array([[3.0, 4.0], [0.0, 5.0], [0.0, -1.0]])


def test_scale_and_clamp_follow_the_convention() -> None:
    np.testing.assert_allclose(clip_scores(IMAGES, TEXTS), [100, 0, -100], atol=1e-12)
    np.testing.assert_allclose(clip_scores(IMAGES, TEXTS, TORCHMETRICS), [100, 0, 0], atol=1e-12)
    np.testing.assert_allclose(clip_scores(IMAGES, TEXTS, CLIPSCORE), [2.5, 0, 0], atol=1e-12)


def test_the_prefix_belongs_to_the_convention() -> None:
    assert CLIPSCORE.caption("a dog") == "A photo depicts a dog"
    assert PLAIN.caption("a dog") == "a dog"


def test_the_score_is_a_mean_with_its_error() -> None:
    estimate = clip_score(IMAGES, TEXTS, convention=TORCHMETRICS)
    assert estimate.value == pytest.approx(100 / 3)
    assert estimate.se == pytest.approx(np.std([100, 0, 0], ddof=1) / np.sqrt(3))
    assert clip_score(IMAGES, TEXTS, [0, 0, 1]).se_method == "mean_clustered"


def test_what_does_not_pair_is_refused() -> None:
    with pytest.raises(UserError, match="embedding of its prompt"):
        clip_scores(IMAGES, TEXTS[:2])
    with pytest.raises(UserError, match="zero"):
        clip_scores(IMAGES, np.zeros((3, 2)))
