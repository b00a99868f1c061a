"""Within-prompt diversity: one image throughout is 1, equal numbers of images, errors over prompts."""

import numpy as np
import pytest

from trilemma.errors import UserError
from trilemma.metrics.vendi import vendi_score, vendi_value
from trilemma.metrics.within_prompt import within_prompt_vendi


def test_one_image_for_each_prompt_has_no_diversity_however_unlike_the_prompts() -> None:
    collapsed, prompts = np.repeat(np.eye(6), 5, axis=0), np.repeat(np.arange(6), 5)
    assert within_prompt_vendi(collapsed, prompts).value == pytest.approx(1)
    assert vendi_score(collapsed).value == pytest.approx(6)


def test_unlike_images_count_each() -> None:
    spread, prompts = np.tile(np.eye(4), (3, 1)), np.repeat(["a", "b", "c"], 4)
    assert within_prompt_vendi(spread, prompts).value == pytest.approx(4)


def test_every_prompt_brings_as_many_images_and_the_error_is_over_prompts() -> None:
    rng = np.random.default_rng(0)
    x, prompts = rng.normal(size=(50, 4)), np.repeat(np.arange(10), 5)
    uneven = np.concatenate([x, rng.normal(size=(3, 4))]), np.concatenate([prompts, [0, 0, 7]])
    estimate = within_prompt_vendi(*uneven)
    assert estimate.value == within_prompt_vendi(x, prompts).value
    assert (estimate.n, estimate.degrees_of_freedom, estimate.se_method) == (50, 9, "mean_clustered")
    values = [vendi_value(x[prompts == p]) for p in range(10)]
    assert estimate.se == pytest.approx(np.std(values, ddof=1) / np.sqrt(10))


def test_little_data_is_skipped_and_bad_labels_refused() -> None:
    x = np.random.default_rng(0).normal(size=(6, 3))
    assert within_prompt_vendi(x, np.zeros(6)).status == "skipped"
    assert "images of every prompt" in str(within_prompt_vendi(x, [0, 0, 0, 0, 0, 1]).reason)
    with pytest.raises(UserError, match="prompts of shape"):
        within_prompt_vendi(x, np.zeros(5))
