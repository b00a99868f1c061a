"""The neighbour engine: equal to the full distance matrix whatever the blocks, for duplicates and at any scale."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trilemma.errors import UserError
from trilemma.metrics import lower_bounds
from trilemma.metrics.lower_bounds import LowerBounds, Tile
from trilemma.metrics.neighbors import Neighbors, close_pairs, nearest, neighbor_radii, read_neighbors, squared_radii
from trilemma.metrics.shortlist import Shortlist

TILES = [Tile(rows=1, columns=3), Tile(rows=7, columns=11), Tile()]


def full(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    gap = a[:, None].astype(np.float64) - b[None].astype(np.float64)
    return np.einsum("nmd,nmd->nm", gap, gap)


@pytest.mark.parametrize("tile", TILES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_radii_equal_those_of_the_full_matrix_whatever_the_blocks(tile: Tile, dtype: str) -> None:
    x = np.random.default_rng(0).normal(size=(90, 5)).astype(dtype)
    expected = np.sort(full(x, x), axis=1)[:, 4]
    np.testing.assert_allclose(neighbor_radii(x, 4, tile) ** 2, expected, rtol=1e-12)
    np.testing.assert_array_equal(neighbor_radii(x, 4, tile), neighbor_radii(x, 4))


@pytest.mark.parametrize("keep", [0, 2**26])
def test_operands_that_are_not_kept_give_the_same_radii(keep: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lower_bounds, "KEEP_BYTES", keep)
    x = np.random.default_rng(0).normal(size=(60, 7)) + 3
    expected = np.sort(full(x, x), axis=1)[:, [2, 5]]
    np.testing.assert_allclose(squared_radii(x, (2, 5), TILES[1]), expected, rtol=1e-12)


@pytest.mark.parametrize("exponent", [-140, -30, 0, 15, 30, 140])
def test_neither_size_nor_offset_costs_digits(exponent: int) -> None:
    x = (np.random.default_rng(0).normal(size=(50, 6)) + 1e6) * 10.0**exponent
    expected = np.sort(full(x, x), axis=1)[:, 3]
    np.testing.assert_allclose(squared_radii(x, (3,))[:, 0], expected, rtol=1e-12)


def test_an_outlier_does_not_spoil_the_rest() -> None:
    x = np.random.default_rng(0).normal(size=(80, 6)).astype(np.float32)
    x[3] = 1e7
    np.testing.assert_allclose(squared_radii(x, (5,))[:, 0], np.sort(full(x, x), axis=1)[:, 5], rtol=1e-12)


@given(st.integers(0, 2**32 - 1), st.floats(-4, 4), st.sampled_from(["float32", "float64"]), st.integers(1, 40))
@settings(max_examples=30, derandomize=True)
def test_bounds_enclose_the_exact_distance(seed: int, exponent: float, dtype: str, width: int) -> None:
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(30, width)) * 10**exponent + rng.normal()).astype(dtype)
    y = np.concatenate([x[:9], (rng.normal(size=(20, width)) + 2).astype(dtype)])
    bounds = LowerBounds(x, y, Tile())
    (columns, lower) = next(bounds.strips(slice(0, 30)))
    assert columns == slice(0, 29)
    rows, cols = np.divmod(np.arange(lower.size), 29)
    exact = full(x, y).ravel() * bounds.scale**2
    assert (lower.ravel() <= exact).all()
    assert (bounds.upper(rows, cols, lower.ravel()) >= exact).all()
    np.testing.assert_allclose(bounds.exact(rows, cols) * bounds.scale**2, exact, rtol=1e-12)


def test_a_sample_is_left_out_by_index_so_a_duplicate_is_its_neighbour() -> None:
    x = np.random.default_rng(0).normal(size=(30, 5)) + 100
    x[7] = x[21]
    radii = neighbor_radii(x, 1)
    assert (radii == 0).sum() == 2
    assert radii[7] == radii[21] == 0


@pytest.mark.parametrize("tile", TILES[1:])
def test_many_duplicates_are_all_neighbours(tile: Tile) -> None:
    x = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    x[:40] = x[0]
    expected = np.sort(full(x, x), axis=1)[:, [1, 39, 45]]
    np.testing.assert_allclose(squared_radii(x, (1, 39, 45), tile), expected, rtol=1e-12)
    np.testing.assert_array_equal(squared_radii(x, (1, 39), tile)[:40], 0)


def test_lists_that_end_too_early_are_searched_again() -> None:
    x = np.random.default_rng(0).normal(size=(70, 3))
    asked: list[int] = []

    def read(found: Neighbors) -> tuple[np.ndarray, np.ndarray]:
        asked.append(len(found.points_N))
        long_enough = (found.points_N % 3 > 0) | (found.certain_N > 40)
        return found.squared_NK[:, -1:], long_enough

    values = read_neighbors(x, 10, read)[:, 0]
    ordered = np.sort(full(x, x), axis=1)
    assert asked == [70, 24, 24, 24]
    np.testing.assert_allclose(values, np.where(np.arange(70) % 3 > 0, ordered[:, 10], ordered[:, 69]), rtol=1e-12)


@pytest.mark.parametrize("tile", TILES[1:])
@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_nearest_rows_equal_those_of_the_full_matrix(kind: str, tile: Tile) -> None:
    rng = np.random.default_rng(0)
    bank, queries = (rng.integers(0, 256, size=(n, 48)).astype(kind) for n in (3000, 40))
    distances, rows = nearest(queries, bank, tile)
    expected = full(queries, bank)
    assert np.array_equal(rows, expected.argmin(axis=1))
    np.testing.assert_array_equal(distances, np.sqrt(expected.min(axis=1)))


def test_nearest_works_across_query_blocks() -> None:
    bank = np.random.default_rng(0).integers(0, 256, size=(1500, 12), dtype=np.uint8)
    distances, rows = nearest(bank, bank)
    assert (distances == 0).all()
    assert (bank[rows] == bank).all()


@pytest.mark.parametrize("tile", TILES)
def test_close_pairs_are_those_inside_a_ball(tile: Tile) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(25, 3)).astype(np.float32), rng.normal(size=(33, 3)).astype(np.float32)
    x[4] = y[8]
    squared = full(x, y)
    x_radii, y_radii = (np.sort(rng.random((n, 2)), axis=1) for n in (25, 33))
    x_radii[6, 1] = squared[6, 11]
    found = {}
    for a, b, between in close_pairs(x, y, x_radii, y_radii, tile):
        found |= dict(zip(zip(a.tolist(), b.tolist(), strict=True), between, strict=True))
    inside = (squared <= x_radii[:, 1:]) | (squared <= y_radii[:, 1])
    assert {pair for pair in found if inside[pair]} == set(zip(*map(np.ndarray.tolist, inside.nonzero()), strict=True))
    for (a, b), between in found.items():
        for radius in (*x_radii[a], *y_radii[b]):
            assert (between <= radius) == (squared[a, b] <= radius)


def test_a_shortlist_keeps_the_smallest_of_all_blocks() -> None:
    values = np.random.default_rng(0).permutation(600).astype(np.float32).reshape(6, 100)
    lists = Shortlist(6, 4)
    for start in (60, 0, 90, 30):
        lists.offer(values[:, start : start + 30], 0, start)
    np.testing.assert_array_equal(lists.bounds_NK, np.sort(values, axis=1)[:, :4])
    np.testing.assert_array_equal(lists.others_NK, np.argsort(values, axis=1)[:, :4])


def test_what_cannot_be_searched_is_refused() -> None:
    x = np.zeros((5, 3))
    with pytest.raises(UserError, match="neighbour number 5"):
        neighbor_radii(x, 5)
    with pytest.raises(UserError, match="width"):
        nearest(x, np.zeros((5, 4)))
    with pytest.raises(UserError, match="empty"):
        nearest(x, np.zeros((0, 3)))
    with pytest.raises(UserError, match="not finite"):
        nearest(np.full((1, 3), np.nan, dtype=np.float32), x)
    with pytest.raises(UserError, match="numbers"):
        nearest(np.array([["a", "b", "c"]]), x)
