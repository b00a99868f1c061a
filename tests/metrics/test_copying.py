"""The copy test: copies are caught, honest images are not, and false alarms are as rare as stated."""

import numpy as np
import pytest

from trilemma.errors import UserError
from trilemma.metrics.copying import copy_test, copy_threshold, nearest_distances, nearest_training


def thumbnails(n: int, seed: int) -> np.ndarray:
    """Smooth random images with a few degrees of freedom, as uint8 (n, 48)."""
    rng = np.random.default_rng(seed)
    basis = np.random.default_rng(99).normal(size=(5, 48))
    return np.clip(128 + 30 * rng.normal(size=(n, 5)) @ basis, 0, 255).astype(np.uint8)


def test_distances_are_rms_grey_levels() -> None:
    training = np.zeros((3, 48), dtype=np.uint8)
    images = np.zeros((2, 48), dtype=np.uint8)
    images[1] = 7
    assert nearest_distances(images, training) == pytest.approx([0, 7])
    assert nearest_distances(images.astype(np.float32), training.astype(np.float32)) == pytest.approx([0, 7])


def test_the_nearest_training_image_is_named() -> None:
    training = thumbnails(300, 0)
    found = nearest_training(training[[7, 250, 0]], training)
    assert found.rows_N.tolist() == [7, 250, 0] and not found.distances_N.any()


def test_copies_are_caught_and_honest_images_are_not() -> None:
    training, heldout, honest = thumbnails(3000, 0), thumbnails(500, 1), thumbnails(500, 2)
    copies = np.where(np.arange(500)[:, None] < 50, training[:500], honest)
    noisy = np.clip(copies + np.random.default_rng(3).normal(size=copies.shape).round(), 0, 255).astype(np.uint8)
    real = nearest_distances(heldout, training)
    for images, caught in ((honest, False), (copies, True), (noisy, True), (training[:500], True)):
        assert copy_test(nearest_distances(images, training), real).beyond_chance is caught
    assert copy_test(nearest_distances(copies, training), real).rate.value == pytest.approx(0.1, abs=0.03)
    assert copy_test(nearest_distances(training[:500], training), real).rate.value == 1


def test_the_rate_of_honest_images_is_the_quantile() -> None:
    rng = np.random.default_rng(0)
    tests = [copy_test(rng.random(500), rng.random(500)) for _ in range(2000)]
    rates = np.array([t.rate.value for t in tests])
    # The share strictly below the 5th of 500 order statistics is 5/501 on average.
    assert rates.mean() == pytest.approx(5 / 501, rel=0.05)


def test_false_alarms_are_as_rare_as_the_significance_says() -> None:
    rng = np.random.default_rng(0)
    tests = [copy_test(rng.random(400), rng.random(300), significance=0.05) for _ in range(4000)]
    alarms = np.mean([t.beyond_chance for t in tests])
    assert 0.02 < alarms <= 0.06


def test_threshold_is_an_order_statistic() -> None:
    distances = np.random.default_rng(0).permutation(np.arange(1, 1001, dtype=float))
    assert copy_threshold(distances) == 10
    outcome = copy_test([9.0, 10.0, 11.0], distances)
    assert outcome.rate.value == pytest.approx(1 / 3)
    assert outcome.rate.se_method == "binomial"


def test_images_that_belong_together_widen_the_error_and_leave_the_rest() -> None:
    distances, heldout = np.repeat([0.1, 9.0], 50), np.linspace(1, 10, 200)
    alone, together = copy_test(distances, heldout), copy_test(distances, heldout, clusters=np.repeat(range(10), 10))
    assert (together.rate.value, together.p_value) == (alone.rate.value, alone.p_value)
    assert alone.rate.se is not None and together.rate.se is not None
    assert together.rate.se > 3 * alone.rate.se and together.rate.se_method == "mean_clustered"


def test_little_data_is_skipped_and_bad_data_refused() -> None:
    few = copy_test([1.0], np.ones(99))
    assert few.rate.status == "skipped" and few.rate.reason is not None and "100" in few.rate.reason
    assert not few.beyond_chance and few.threshold is None
    assert copy_test([], np.ones(200)).rate.status == "skipped"
    with pytest.raises(UserError):
        copy_test([np.nan], np.ones(200))
    with pytest.raises(UserError):
        copy_threshold(np.ones(50))
