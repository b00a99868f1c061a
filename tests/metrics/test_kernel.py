"""Kernel distance: a slow double loop, unbiasedness, and a standard error that is one."""

import numpy as np
import pytest

from trilemma.errors import UserError
from trilemma.metrics.kernel import block_count, kernel_distance, kernel_distance_blocks, mmd2_unbiased
from trilemma.statistics.jackknife import group_labels


def test_it_equals_the_definition_term_by_term() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 3)), rng.normal(size=(9, 3)) + 1

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return float((a @ b / 3 + 1) ** 3)

    within_x = np.mean([k(x[i], x[j]) for i in range(7) for j in range(7) if i != j])
    within_y = np.mean([k(y[i], y[j]) for i in range(9) for j in range(9) if i != j])
    across = np.mean([k(a, b) for a in x for b in y])
    assert mmd2_unbiased(x, y) == pytest.approx(within_x + within_y - 2 * across)


def test_it_is_unbiased_and_its_error_agrees_with_monte_carlo() -> None:
    rng = np.random.default_rng(0)
    estimates = [kernel_distance(rng.normal(size=(256, 8)), rng.normal(size=(1000, 8))) for _ in range(200)]
    values = np.array([e.value for e in estimates])
    stated = np.sqrt(np.mean([e.se**2 for e in estimates]))
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(200)
    assert (values < 0).any()
    assert stated == pytest.approx(values.std(ddof=1), rel=0.15)


def test_it_grows_with_the_shift() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(512, 8)), rng.normal(size=(1000, 8))
    values = [kernel_distance(x + shift, y).value for shift in (0.2, 0.5, 1.0)]
    assert values == sorted(values)
    assert values[0] > 0


def test_blocks_are_at_least_eight_and_at_most_a_thousand_images() -> None:
    assert [block_count(n) for n in (64, 2048, 8000, 50_000)] == [8, 8, 8, 50]
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(100, 2)), rng.normal(size=(50, 2))
    blocks = kernel_distance_blocks(x, y)
    assert len(blocks) == 8
    assert kernel_distance(x, y).value == pytest.approx(blocks.mean())
    assert kernel_distance(x, y).degrees_of_freedom == 7


def test_little_data_is_skipped_and_bad_data_refused() -> None:
    x = np.random.default_rng(0).normal(size=(100, 3))
    few = kernel_distance(x[:10], x)
    assert few.status == "skipped" and few.reason is not None and "64" in few.reason
    assert kernel_distance(x, x[:10]).status == "skipped"
    with pytest.raises(UserError):
        kernel_distance(x, x[:, :2])
    with pytest.raises(UserError):
        mmd2_unbiased(x[:1], x)


def prompted(rng: np.random.Generator, prompts: int, images: int) -> tuple[np.ndarray, np.ndarray]:
    """Features whose prompt shows: half of their variance is shared by the images of one prompt."""
    shared, own = rng.normal(size=(prompts, 1, 8)), rng.normal(size=(prompts, images, 8))
    return ((shared + own) / np.sqrt(2)).reshape(-1, 8) + 0.5, np.repeat(np.arange(prompts), images)


def test_clusters_change_the_error_and_never_the_value() -> None:
    rng = np.random.default_rng(0)
    real = rng.normal(size=(1000, 8))
    plain, clustered = [], []
    for _ in range(150):
        x, prompts = prompted(rng, 40, 8)
        plain.append(kernel_distance(x, real))
        clustered.append(kernel_distance(x, real, prompts))
        assert clustered[-1].value == plain[-1].value
    spread = np.std([e.value for e in plain], ddof=1)
    stated, blind = (np.sqrt(np.mean([e.se**2 for e in each])) for each in (clustered, plain))
    assert stated == pytest.approx(spread, rel=0.15)
    assert blind < 0.75 * spread
    assert clustered[0].se_method == "group_jackknife_clustered"


def test_leaving_out_groups_is_recomputing_without_them() -> None:
    rng = np.random.default_rng(0)
    x, prompts = prompted(rng, 40, 8)
    y = rng.normal(size=(400, 8))
    (source,) = kernel_distance(x, y, prompts).replicates
    own, real = group_labels(320, clusters=prompts), group_labels(400, seed=1)
    order = np.random.default_rng(0)
    rows = [np.array_split(order.permutation(n), 8) for n in (320, 400)]
    recomputed = [
        np.mean([mmd2_unbiased(x[i][own[i] != g], y[j][real[j] != g]) for i, j in zip(*rows, strict=True)])
        for g in range(20)
    ]
    np.testing.assert_allclose(source.values_U, recomputed)


@pytest.mark.parametrize(
    ("prompts", "reason"),
    [(np.repeat(np.arange(10), 20), "20 clusters"), ((np.arange(200) - 180).clip(0), "more samples")],
)
def test_too_few_clusters_cost_the_error_alone(prompts: np.ndarray, reason: str) -> None:
    rng = np.random.default_rng(0)
    estimate = kernel_distance(rng.normal(size=(200, 8)), rng.normal(size=(300, 8)), prompts)
    assert estimate.value is not None and estimate.se is None and estimate.interval() is None
    assert estimate.reason is not None and reason in estimate.reason
