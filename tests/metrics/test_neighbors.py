"""The neighbour engine: equal to the full distance matrix whatever the blocks, exact for duplicates."""

import numpy as np
import pytest

from trilemma.errors import UserError
from trilemma.metrics.neighbors import distance_blocks, nearest, neighbor_radii


def full(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.linalg.norm(a[:, None].astype(float) - b[None].astype(float), axis=-1)


@pytest.mark.parametrize("memory_bytes", [1, 5000, 2**26])
def test_radii_equal_those_of_the_full_matrix_whatever_the_blocks(memory_bytes: int) -> None:
    x = np.random.default_rng(0).normal(size=(90, 5))
    expected = np.sort(full(x, x), axis=1)[:, 4]
    np.testing.assert_allclose(neighbor_radii(x, 4, memory_bytes), expected, rtol=1e-10)


def test_a_sample_is_left_out_by_index_so_a_duplicate_is_its_neighbour() -> None:
    x = np.random.default_rng(0).normal(size=(30, 5)) + 100
    x[7] = x[21]
    radii = neighbor_radii(x, 1)
    assert (radii == 0).sum() == 2
    assert radii[7] == radii[21] == 0


@pytest.mark.parametrize("memory_bytes", [1, 3000, 2**26])
def test_identical_rows_are_at_distance_zero_exactly(memory_bytes: int) -> None:
    x = 1000 + np.random.default_rng(0).normal(size=(40, 64))
    whole = np.concatenate([block for _, block in distance_blocks(x[::-1].copy(), x, memory_bytes)])
    assert (np.diagonal(whole[::-1]) == 0).all()
    assert (whole == 0).sum() == 40


@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_nearest_rows_equal_those_of_the_full_matrix(kind: str) -> None:
    rng = np.random.default_rng(0)
    bank, queries = (rng.integers(0, 256, size=(n, 48)).astype(kind) for n in (5000, 70))
    distances, rows = nearest(queries, bank)
    expected = full(queries, bank)
    assert np.array_equal(rows, expected.argmin(axis=1))
    np.testing.assert_allclose(distances, expected.min(axis=1), rtol=1e-12)


def test_nearest_works_across_query_blocks() -> None:
    bank = np.random.default_rng(0).integers(0, 256, size=(2500, 12), dtype=np.uint8)
    distances, rows = nearest(bank, bank)
    assert (distances == 0).all()
    assert (bank[rows] == bank).all()


def test_what_cannot_be_searched_is_refused() -> None:
    x = np.zeros((5, 3))
    with pytest.raises(UserError, match="neighbour number 5"):
        neighbor_radii(x, 5)
    with pytest.raises(UserError, match="width"):
        nearest(x, np.zeros((5, 4)))
    with pytest.raises(UserError, match="two matrices"):
        nearest(x, np.zeros((0, 3)))
    with pytest.raises(UserError, match="not finite"):
        nearest(np.full((1, 3), np.nan, dtype=np.float32), x)
