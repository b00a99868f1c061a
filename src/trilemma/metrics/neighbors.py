"""Nearest neighbours by blocks: the one engine under precision, recall, density, coverage and the copy test.

Blocks of float32 lower bounds (``lower_bounds``) keep for every point the few candidates that can matter; these are
then measured in float64 from the differences of their rows. A list is certain as far as its exact distances stay below
the bounds of all that was left out; a point whose list ends too early is searched again with a list twice as long. So
the result is that of float64 arithmetic, whatever the blocks, at the price of a float32 product.

A set against itself is swept over half of the matrix, for its distances are symmetric. A sample is never its own
neighbour: it is left out by its index, not by a distance of 0, which a duplicate has too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trilemma.errors import UserError
from trilemma.metrics.arrays import ROWS_AT_A_TIME, number_matrix, require_same_width
from trilemma.metrics.lower_bounds import LowerBounds, Tile, slices
from trilemma.metrics.shortlist import Shortlist

TILE = Tile()
WIDE = Tile(rows=2048, columns=2048)
SPARE = 8
"""Candidates kept beyond the neighbours that are asked for."""
LISTED = 2**22
"""Entries that a second, longer list may have at a time."""


@dataclass(frozen=True, kw_only=True)
class Neighbors:
    """Exact nearest rows of a bank for N points.

    Attributes:
        points_N: int64, which query each list belongs to.
        squared_NK: squared distances, float64, in increasing order; rows_NK: int64, the rows of the bank.
        certain_N: how many entries of each list are certain: no row outside the list is nearer.
    """

    points_N: NDArray[np.int64]
    squared_NK: NDArray[np.float64]
    rows_NK: NDArray[np.int64]
    certain_N: NDArray[np.int64]


Reading = tuple[NDArray[np.float64], NDArray[np.bool_]]
"""What is read from lists, (N, V), and whether each list was long enough for it, (N,)."""


def read_neighbors(
    features_ND: NDArray[Any], reach: int, read: Callable[[Neighbors], Reading], tile: Tile = TILE
) -> NDArray[np.float64]:
    """Returns what ``read`` makes of each sample's nearest other samples, float64 (N, V).

    ``read`` is first given all lists of ``reach`` entries, then longer ones of the samples that it found too short.
    """
    bounds = LowerBounds(features_ND, features_ND, tile)
    reach = min(reach, len(features_ND) - 1)
    lists = _sweep_against_itself(bounds, reach)
    first = _measured(bounds, lists, np.arange(len(features_ND)), complete=reach == len(features_ND) - 1)
    return _settle(bounds, first, read, apart=True)


def neighbor_radii(features: ArrayLike, k: int, tile: Tile = TILE) -> NDArray[np.float64]:
    """Returns the distance of each sample (N, D) to its k-th nearest other sample, float64 (N,)."""
    radii_N: NDArray[np.float64] = np.sqrt(squared_radii(number_matrix(features, "features"), (k,), tile)[:, 0])
    return radii_N


def squared_radii(features_ND: NDArray[Any], ks: tuple[int, ...], tile: Tile = TILE) -> NDArray[np.float64]:
    """Returns the squared distances of each sample to its k-th nearest other sample, float64 (N, len(ks))."""
    if not 1 <= min(ks) <= max(ks) < len(features_ND):
        raise UserError(f"{len(features_ND)} samples have no neighbour number {max(ks)}.")
    columns = np.array(ks) - 1

    def read(neighbors: Neighbors) -> Reading:
        return neighbors.squared_NK[:, columns], neighbors.certain_N >= max(ks)

    return read_neighbors(features_ND, max(ks) + SPARE, read, tile)


def nearest(queries: ArrayLike, bank: ArrayLike, tile: Tile = WIDE) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Finds the nearest row of a large bank for every query.

    Args:
        queries: (N, D) and bank (M, D), uint8 or float, finite.

    Returns:
        Euclidean distances float64 (N,) and the rows of the bank int64 (N,).
    """
    queries_ND, bank_MD = number_matrix(queries, "queries"), number_matrix(bank, "bank")
    require_same_width(queries_ND, bank_MD)
    if len(bank_MD) == 0:
        raise UserError("Nearest rows need a bank; this one is empty.")
    bounds = LowerBounds(queries_ND, bank_MD, tile)
    first = _search(bounds, np.arange(len(queries_ND)), min(SPARE, len(bank_MD)))
    found_N2 = _settle(bounds, first, _read_first, apart=False)
    return np.sqrt(found_N2[:, 0]), found_N2[:, 1].astype(np.int64)


def close_pairs(
    queries_ND: NDArray[Any],
    bank_MD: NDArray[Any],
    query_radii_N2: NDArray[np.float64],
    bank_radii_M2: NDArray[np.float64],
    tile: Tile = TILE,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]]:
    """Yields all pairs of which one lies in the other's ball: query, row of the bank and squared distance, each (P,).

    Args:
        query_radii_N2: squared radii of the smallest and the largest ball around each query, and
        bank_radii_M2: around each row of the bank.

    The squared distance is exact wherever it lies in doubt between a smallest and a largest ball; else it is only on
    the right side of both.
    """
    bounds = LowerBounds(queries_ND, bank_MD, tile)
    unit = bounds.scale**2
    # Rounded up to float32, a bound that equals a radius is never lost.
    query_reach_N, bank_reach_M = (_rounded_up(radii[:, 1] * unit) for radii in (query_radii_N2, bank_radii_M2))
    for rows in slices(0, len(queries_ND), tile.rows):
        for columns, lower_BT in bounds.strips(rows):
            near_BT = lower_BT <= query_reach_N[rows, None]
            near_BT |= lower_BT <= bank_reach_M[columns]
            hits = np.flatnonzero(near_BT)
            lower_P = lower_BT.ravel()[hits]
            query_P = hits // lower_BT.shape[1] + rows.start
            bank_P = hits % lower_BT.shape[1] + columns.start
            upper_P = bounds.upper(query_P, bank_P, lower_P)
            doubt_P = _in_doubt(lower_P, upper_P, unit * query_radii_N2[query_P])
            doubt_P |= _in_doubt(lower_P, upper_P, unit * bank_radii_M2[bank_P])
            squared_P = lower_P.astype(np.float64) / unit
            squared_P[doubt_P] = bounds.exact(query_P[doubt_P], bank_P[doubt_P])
            yield query_P, bank_P, squared_P


def _in_doubt(
    lower_P: NDArray[np.float32], upper_P: NDArray[np.float64], radii_P2: NDArray[np.float64]
) -> NDArray[np.bool_]:
    doubt_P: NDArray[np.bool_] = (upper_P >= radii_P2[:, 0]) & (lower_P <= radii_P2[:, 1])
    return doubt_P


def _rounded_up(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.nextafter(values.astype(np.float32), np.float32(np.inf))


def _read_first(neighbors: Neighbors) -> Reading:
    return np.stack([neighbors.squared_NK[:, 0], neighbors.rows_NK[:, 0]], axis=1), neighbors.certain_N >= 1


def _settle(
    bounds: LowerBounds, first: Neighbors, read: Callable[[Neighbors], Reading], *, apart: bool
) -> NDArray[np.float64]:
    """Reads all lists, and longer ones until each was long enough; ``apart`` leaves a point out of its own list."""
    values_NV, settled_N = read(first)
    reach, most = first.rows_NK.shape[1], len(bounds.bank_MD) - apart
    while not settled_N.all() and reach < most:
        reach = min(2 * reach, most)
        open_U = np.flatnonzero(~settled_N)
        for part in slices(0, len(open_U), max(1, min(ROWS_AT_A_TIME, LISTED // reach))):
            points_B = open_U[part]
            chosen = LowerBounds(bounds.queries_ND[points_B], bounds.bank_MD, bounds.tile)
            found = _search(chosen, points_B, reach, apart=apart)
            values_NV[points_B], settled_N[points_B] = read(found)
    assert settled_N.all(), "a list of everything is long enough"
    return values_NV


def _search(bounds: LowerBounds, points_U: NDArray[np.int64], reach: int, *, apart: bool = False) -> Neighbors:
    """Returns the lists of all queries of ``bounds``; ``apart``: row ``points_U`` of the bank is the query itself."""
    lists = Shortlist(len(points_U), reach)
    for rows in slices(0, len(points_U), bounds.tile.rows):
        for columns, lower_BT in bounds.strips(rows):
            if apart:
                _leave_out(lower_BT, points_U[rows] - columns.start)
            lists.offer(lower_BT, rows.start, columns.start)
    return _measured(bounds, lists, points_U, complete=reach == len(bounds.bank_MD) - apart)


def _sweep_against_itself(bounds: LowerBounds, reach: int) -> Shortlist:
    """Returns all lists of a set against itself: each block above the diagonal serves its rows and its columns."""
    n = len(bounds.bank_MD)
    lists = Shortlist(n, reach)
    for rows in slices(0, n, bounds.tile.rows):
        for columns, lower_BT in bounds.strips(rows, rows.start):
            _leave_out(lower_BT, np.arange(rows.start, rows.stop) - columns.start)
            lists.offer(lower_BT, rows.start, columns.start)
            beyond = max(rows.stop, columns.start)
            if beyond < columns.stop:
                lists.offer(lower_BT[:, beyond - columns.start :].T, beyond, rows.start)
    return lists


def _leave_out(lower_BT: NDArray[np.float32], column_B: NDArray[np.int64]) -> None:
    """Puts each row's own column, where this block holds it, infinitely far away."""
    inside_B = (column_B >= 0) & (column_B < lower_BT.shape[1])
    lower_BT[np.flatnonzero(inside_B), column_B[inside_B]] = np.inf


def _measured(bounds: LowerBounds, lists: Shortlist, points_U: NDArray[np.int64], *, complete: bool) -> Neighbors:
    """Returns the lists of all queries of ``bounds``, named by ``points_U``, with exact distances and sorted by them.

    A ``complete`` list leaves nothing out and is certain to its end.
    """
    length = lists.others_NK.shape[1]
    query_P = np.repeat(np.arange(len(points_U)), length)
    squared_UK = bounds.exact(query_P, lists.others_NK.ravel()).reshape(-1, length)
    order_UK = np.lexsort((lists.others_NK, squared_UK), axis=1)
    squared_UK = np.take_along_axis(squared_UK, order_UK, axis=1)
    outside_U1 = lists.bounds_NK[:, -1:].astype(np.float64) / bounds.scale**2
    certain_U = np.where(complete, length, (squared_UK <= outside_U1).sum(axis=1))
    return Neighbors(
        points_N=points_U,
        squared_NK=squared_UK,
        rows_NK=np.take_along_axis(lists.others_NK, order_UK, axis=1),
        certain_N=certain_U,
    )
