"""Nearest neighbours by blocks of rows: the one engine under precision, recall, density, coverage and the copy test.

|x − y|² = |x|² + |y|² − 2 xᵀy turns distances into matrix products, of which one block at a time is held. A sample is
never its own neighbour: it is left out by its index, not by a distance of 0, which a duplicate has too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trilemma.errors import UserError
from trilemma.metrics.arrays import finite_matrix, require_same_width

MEMORY_BYTES = 64 * 2**20
QUERY_ROWS = 2048
BANK_ROWS = 2048


def distance_blocks(
    queries_ND: NDArray[np.float64], bank_MD: NDArray[np.float64], memory_bytes: int = MEMORY_BYTES
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Yields (rows, squared distances float64 (B, M)) over blocks of query rows of at most ``memory_bytes``.

    Distances that are rounding errors are exactly 0, so that identical features are at distance 0.
    """
    require_same_width(queries_ND, bank_MD)
    centre_D = bank_MD.mean(axis=0)
    bank_MD, queries_ND = bank_MD - centre_D, queries_ND - centre_D
    bank_M = np.einsum("md,md->m", bank_MD, bank_MD)
    rounding = 16 * np.finfo(np.float64).eps
    block = max(1, memory_bytes // (8 * 3 * max(1, len(bank_MD))))
    for start in range(0, len(queries_ND), block):
        part_BD = queries_ND[start : start + block]
        scale_BM = np.einsum("bd,bd->b", part_BD, part_BD)[:, None] + bank_M
        squared_BM = scale_BM - 2 * part_BD @ bank_MD.T
        squared_BM[squared_BM <= rounding * scale_BM] = 0
        yield slice(start, start + len(part_BD)), squared_BM


def self_distance_blocks(
    features_ND: NDArray[np.float64], memory_bytes: int = MEMORY_BYTES
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Yields the blocks of a set against itself, the distance of each sample to itself being infinite."""
    for rows, squared_BN in distance_blocks(features_ND, features_ND, memory_bytes):
        positions_B = np.arange(rows.start, rows.stop)
        squared_BN[positions_B - rows.start, positions_B] = np.inf
        yield rows, squared_BN


def neighbor_radii(features: ArrayLike, k: int, memory_bytes: int = MEMORY_BYTES) -> NDArray[np.float64]:
    """Returns the distance of each sample to its k-th nearest other sample, float64 (N,)."""
    features_ND = finite_matrix(features, "features")
    if not 1 <= k < len(features_ND):
        raise UserError(f"{len(features_ND)} samples have no neighbour number {k}.")
    blocks = self_distance_blocks(features_ND, memory_bytes)
    squared_N = np.concatenate([np.partition(squared_BN, k - 1, axis=1)[:, k - 1] for _, squared_BN in blocks])
    radii_N: NDArray[np.float64] = np.sqrt(squared_N)
    return radii_N


def nearest(queries: ArrayLike, bank: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Finds the nearest row of a large bank for every query.

    The search runs in float32, bank block by bank block, in about 40 MiB over its inputs; the distance to the row
    found is then recomputed in float64. For uint8 rows of up to 1,024 entries the products are exact, shifted to
    ±128; else two rows whose distances agree to float32 rounding may be taken for one another.

    Args:
        queries: (N, D) and bank (M, D), uint8 or float, finite.

    Returns:
        Euclidean distances float64 (N,) and the rows of the bank int64 (N,).
    """
    queries_ND, bank_MD = np.asarray(queries), np.asarray(bank)
    if queries_ND.ndim != 2 or bank_MD.ndim != 2 or len(bank_MD) == 0:
        raise UserError(f"Nearest rows need two matrices; the shapes are {queries_ND.shape} and {bank_MD.shape}.")
    require_same_width(queries_ND, bank_MD)
    centre_D = _centre(bank_MD)
    found_N = np.empty(len(queries_ND), dtype=np.int64)
    for start in range(0, len(queries_ND), QUERY_ROWS):
        part_BD = _centred(queries_ND[start : start + QUERY_ROWS], centre_D)
        found_N[start : start + QUERY_ROWS] = _nearest_rows(part_BD, bank_MD, centre_D)
    return _exact_distances(queries_ND, bank_MD, found_N), found_N


def _nearest_rows(queries_BD: NDArray[np.float32], bank_MD: NDArray[Any], centre_D: NDArray[Any]) -> NDArray[np.int64]:
    """Returns the row that minimises |y|²/2 − xᵀy: the nearest one, |x|² being the same for all."""
    best_B = np.full(len(queries_BD), np.inf, dtype=np.float32)
    found_B = np.zeros(len(queries_BD), dtype=np.int64)
    rows_B = np.arange(len(queries_BD))
    for start in range(0, len(bank_MD), BANK_ROWS):
        part_KD = _centred(bank_MD[start : start + BANK_ROWS], centre_D)
        score_BK = queries_BD @ part_KD.T
        np.subtract(np.einsum("kd,kd->k", part_KD, part_KD) / 2, score_BK, out=score_BK)
        closest_B = score_BK.argmin(axis=1)
        score_B = score_BK[rows_B, closest_B]
        better_B = score_B < best_B
        best_B[better_B] = score_B[better_B]
        found_B[better_B] = start + closest_B[better_B]
    return found_B


def _centre(bank_MD: NDArray[Any]) -> NDArray[np.float32]:
    if bank_MD.dtype == np.uint8:
        return np.full(bank_MD.shape[1], 128, dtype=np.float32)
    mean_D: NDArray[np.float64] = bank_MD.mean(axis=0, dtype=np.float64)
    return mean_D.astype(np.float32)


def _centred(rows_BD: NDArray[Any], centre_D: NDArray[np.float32]) -> NDArray[np.float32]:
    rows32_BD = rows_BD.astype(np.float32)
    rows32_BD -= centre_D
    if not np.isfinite(rows32_BD).all():
        raise UserError("Rows to be searched hold entries that are not finite.")
    return rows32_BD


def _exact_distances(
    queries_ND: NDArray[Any], bank_MD: NDArray[Any], found_N: NDArray[np.int64]
) -> NDArray[np.float64]:
    distances_N = np.empty(len(queries_ND))
    for start in range(0, len(queries_ND), QUERY_ROWS):
        rows = slice(start, start + QUERY_ROWS)
        gap_BD = queries_ND[rows].astype(np.float64) - bank_MD[found_N[rows]]
        distances_N[rows] = np.sqrt(np.einsum("bd,bd->b", gap_BD, gap_BD))
    return distances_N
