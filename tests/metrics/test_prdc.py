"""Precision, recall, density, coverage: definitions, orientation, known expectations, the jackknife."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trilemma.errors import UserError
from trilemma.metrics.lower_bounds import Tile
from trilemma.metrics.prdc import NAMES, Prdc, coverage_within, expected_coverage, prdc, prdc_sweep, precision_within
from trilemma.statistics.jackknife import group_labels
from trilemma.statistics.standard_error import jackknife_se


def values(result: Prdc) -> list[float]:
    return [getattr(result, name).value for name in NAMES]


def by_definition(x: np.ndarray, y: np.ndarray, k: int, *, strict: bool = False) -> list[float]:
    """The four numbers from full distance matrices, as their papers define them."""
    inside = np.less if strict else np.less_equal

    def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.linalg.norm(a[:, None] - b[None], axis=-1)

    real_radii, own_radii = (np.sort(distances(a, a), axis=1)[:, k] for a in (y, x))
    inside_real = inside(distances(x, y), real_radii)
    inside_own = inside(distances(x, y), own_radii[:, None])
    coverage = inside_real.any(axis=0).mean()
    return [inside_real.any(axis=1).mean(), inside_own.any(axis=0).mean(), inside_real.sum(axis=1).mean() / k, coverage]


@pytest.mark.parametrize("tile", [Tile(rows=7, columns=9), Tile()])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_they_equal_their_definitions_whatever_the_blocks(k: int, tile: Tile) -> None:
    rng = np.random.default_rng(0)
    x, y = 0.8 * rng.normal(size=(80, 4)) + 0.3, rng.normal(size=(80, 4))
    assert values(prdc(x, y, k=k, tile=tile)) == pytest.approx(by_definition(x, y, k))


@pytest.mark.parametrize("strict", [False, True])
def test_one_sweep_gives_what_each_k_and_convention_gives_alone(strict: bool) -> None:
    # On a lattice distances tie, so that the two conventions differ.
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 4, size=(90, 3)), rng.integers(0, 5, size=(90, 3))
    sweep = prdc_sweep(x, y)
    assert set(sweep) == {(3, False), (3, True), (5, False), (5, True)}
    assert values(sweep[3, False]) != values(sweep[3, True])
    for k in (3, 5):
        assert values(sweep[k, strict]) == pytest.approx(by_definition(x, y, k, strict=strict))


def test_sets_of_unlike_size_are_compared_when_asked_for() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(90, 3)), rng.normal(size=(50, 3))
    assert values(prdc(x, y, k=3, equal_sizes=False)) == pytest.approx(by_definition(x, y, 3))


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("cluster_size", [2, 4])
def test_errors_equal_a_jackknife_that_recomputes_everything(cluster_size: int, strict: bool) -> None:
    rng = np.random.default_rng(0)
    x, y = 0.8 * rng.normal(size=(60, 3)) + 0.3, rng.normal(size=(60, 3))
    x[5] = x[9]
    clusters = rng.permutation(60) // cluster_size
    result = prdc(x, y, k=2, strict=strict, groups=6, clusters=clusters, tile=Tile(rows=16, columns=16))
    labels = group_labels(60, 6, clusters=clusters)
    left_out = np.array([by_definition(x[labels != g], y, 2, strict=strict) for g in range(6)])
    for column, name in enumerate(NAMES):
        (source,) = getattr(result, name).replicates
        np.testing.assert_allclose(source.values_U, left_out[:, column])
        assert getattr(result, name).se == pytest.approx(jackknife_se(left_out[:, column])), name
        assert getattr(result, name).se_method == "group_jackknife_clustered"


def test_a_tight_cluster_is_precise_and_recalls_little() -> None:
    rng = np.random.default_rng(0)
    tight, wide = 0.1 * rng.normal(size=(200, 16)), 3 * rng.normal(size=(200, 16))
    result = prdc(tight, wide, k=3)
    assert result.precision.value > 0.8
    assert result.recall.value < 0.3
    mirrored = prdc(wide, tight, k=3)
    assert mirrored.precision.value < 0.3
    assert mirrored.recall.value > 0.8


def test_expected_coverage_is_the_published_one() -> None:
    assert expected_coverage(5, 10_000, 10_000) == pytest.approx(0.96877, abs=5e-6)
    assert expected_coverage(1, 2, 1) == pytest.approx(0.5)


def test_coverage_and_density_of_one_distribution_have_their_expectations() -> None:
    rng = np.random.default_rng(0)
    results = [prdc(rng.normal(size=(100, 3)), rng.normal(size=(100, 3))) for _ in range(60)]
    coverage = np.array([r.coverage.value for r in results])
    density = np.array([r.density.value for r in results])
    assert coverage.mean() == pytest.approx(expected_coverage(5, 100, 100), abs=4 * coverage.std() / np.sqrt(60))
    assert density.mean() == pytest.approx(1, abs=4 * density.std() / np.sqrt(60))


def test_identical_constant_features_separate_the_two_conventions() -> None:
    same = np.full((50, 8), 0.1)
    assert values(prdc(same, same)) == [1, 1, 10, 1]
    assert values(prdc(same, same, strict=True)) == [0, 0, 0, 0]


def test_a_missing_mode_lowers_recall_and_coverage_not_precision() -> None:
    rng = np.random.default_rng(0)
    real = rng.normal(size=(300, 4)) + 20 * (np.arange(300) % 2)[:, None]
    whole, dropped = rng.normal(size=(2, 300, 4))
    whole += 20 * (np.arange(300) % 2)[:, None]
    full, half = prdc(whole, real), prdc(dropped, real)
    assert half.coverage.value < 0.6 * full.coverage.value
    assert half.recall.value < 0.6 * full.recall.value
    assert half.precision.value > 0.9 * full.precision.value


def test_precision_error_agrees_with_monte_carlo_and_coverage_is_not_too_small() -> None:
    rng = np.random.default_rng(0)
    real = rng.normal(size=(200, 6))
    results = [prdc(1.2 * rng.normal(size=(200, 6)), real) for _ in range(150)]
    ratio = {}
    for name in NAMES:
        estimates = [getattr(r, name) for r in results]
        stated = np.sqrt(np.mean([e.se**2 for e in estimates]))
        ratio[name] = stated / np.std([e.value for e in estimates], ddof=1)
    assert ratio["precision"] == pytest.approx(1, abs=0.2)
    assert ratio["density"] == pytest.approx(1, abs=0.2)
    # Dropping a twentieth of the images uncovers more than chance would: the error errs on the safe side.
    assert 0.9 < ratio["coverage"] < 2
    assert 0.9 < ratio["recall"] < 2.5


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 3), st.booleans())
@settings(max_examples=20, derandomize=True)
def test_order_does_not_matter_and_shares_are_shares(seed: int, scale: float, strict: bool) -> None:
    rng = np.random.default_rng(seed)
    x, y = scale * rng.normal(size=(45, 3)), rng.normal(size=(45, 3))
    result = values(prdc(x, y, strict=strict))
    assert values(prdc(x[rng.permutation(45)], y[rng.permutation(45)], strict=strict)) == pytest.approx(result)
    assert all(0 <= result[i] <= 1 for i in (0, 1, 3)) and result[2] >= 0


def test_the_reference_is_cut_to_equal_size() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 3)), rng.normal(size=(80, 3))
    assert values(prdc(x, y)) == values(prdc(x, y[:50]))
    with pytest.raises(UserError, match="equal size"):
        prdc(y, x)


def test_little_data_is_skipped() -> None:
    x = np.random.default_rng(0).normal(size=(60, 3))
    few = prdc(x[:39], x).recall
    assert few.status == "skipped" and few.reason is not None and "40" in few.reason
    assert prdc(x, x, clusters=np.arange(60) // 10).coverage.status == "skipped"


def test_precision_within_groups_sees_what_belongs_to_another_group() -> None:
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(6), 12)
    centres = 50 * np.arange(6)[groups][:, None]
    real, own = (rng.normal(size=(72, 2)) + centres for _ in range(2))
    swapped = np.where(np.arange(72)[:, None] % 4 == 0, np.roll(own, 12, axis=0), own)
    alone, mixed = (precision_within(x, groups, real, groups) for x in (own, swapped))
    by_hand = [prdc(own[g], real[g], k=5, groups=2).precision.value for g in np.split(np.arange(72), 6)]
    assert alone.value == pytest.approx(np.mean(by_hand)) and alone.value > 0.9
    assert mixed.value == pytest.approx(0.75 * alone.value, abs=0.06)
    assert prdc(swapped, real, k=5).precision.value > 0.9


def test_coverage_within_groups_is_the_mean_over_groups() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(8), 12)
    centres = 50 * np.arange(8)[groups][:, None]
    real, whole = (rng.normal(size=(96, 2)) + centres for _ in range(2))
    # One image throughout, as far from the middle as an image is: the middle lies in nearly every ball of so few.
    collapsed = centres + rng.normal(size=(8, 2))[groups]
    spread, point = coverage_within(whole, groups, real, groups), coverage_within(collapsed, groups, real, groups)
    assert spread.value == pytest.approx(expected_coverage(5, 12, 12), abs=0.08)
    assert point.value < spread.value - 0.2
    assert spread.degrees_of_freedom == 7
    assert coverage_within(whole[:12], groups[:12], real, groups).status == "skipped"
    with pytest.raises(UserError, match="label"):
        coverage_within(whole, groups[:5], real, groups)
