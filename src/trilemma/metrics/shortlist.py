"""The K smallest values of each of N points, gathered from blocks in any order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Shortlist:
    """For each point the K candidates with the smallest bounds so far, in increasing order.

    Attributes:
        bounds_NK: float32, not negative, infinite where there is none yet. Nothing outside is below the last one.
        others_NK: int64, which candidate it is, −1 where there is none.
    """

    def __init__(self, points: int, length: int) -> None:
        self.bounds_NK = np.full((points, length), np.inf, dtype=np.float32)
        self.others_NK = np.full((points, length), -1, dtype=np.int64)

    def offer(self, lower_BT: NDArray[np.float32], first_point: int, first_other: int) -> None:
        """Takes a block of bounds: row b belongs to point ``first_point`` + b, column t to ``first_other`` + t."""
        points = slice(first_point, first_point + len(lower_BT))
        row_P, column_P = _below(lower_BT, self.bounds_NK[points, -1], self.bounds_NK.shape[1])
        # No squared distance is negative, whatever its bound.
        bounds_P = np.maximum(lower_BT[row_P, column_P], 0)
        self._merge(row_P + first_point, column_P + first_other, bounds_P)

    def _merge(self, points_P: NDArray[np.int64], others_P: NDArray[np.int64], bounds_P: NDArray[np.float32]) -> None:
        """Puts P candidates into the lists of the U points that they belong to."""
        touched_U, position_P = np.unique(points_P, return_inverse=True)
        length = self.bounds_NK.shape[1]
        position = np.concatenate([position_P, np.repeat(np.arange(len(touched_U)), length)])
        bounds = np.concatenate([bounds_P, self.bounds_NK[touched_U].ravel()])
        others = np.concatenate([others_P, self.others_NK[touched_U].ravel()])
        order = _by_position_and_bound(position, bounds)
        starts_U = np.searchsorted(position[order], np.arange(len(touched_U)))
        best = order[np.arange(len(order)) - starts_U[position[order]] < length]
        self.bounds_NK[touched_U] = bounds[best].reshape(-1, length)
        self.others_NK[touched_U] = others[best].reshape(-1, length)


def _by_position_and_bound(position: NDArray[np.int64], bounds: NDArray[np.float32]) -> NDArray[np.int64]:
    """Returns the order by position, then bound: one sort of integers, ten times faster than a sort by two keys.

    Floats that are not negative are ordered as their bits are; adding 0 turns −0 into 0.
    """
    bits = (bounds + np.float32(0)).view(np.uint32)
    return np.argsort((position.astype(np.uint64) << np.uint64(32)) | bits)


def _below(
    lower_BT: NDArray[np.float32], limits_B: NDArray[np.float32], length: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns row and column of all that may enter the lists: what is below their ends, or the smallest at first."""
    rows, columns = lower_BT.shape
    if columns <= length or np.isfinite(limits_B).all():
        return _where(lower_BT < limits_B[:, None])
    chosen_BK = np.argpartition(lower_BT, length - 1, axis=1)[:, :length]
    row_P, column_P = np.repeat(np.arange(rows), length), chosen_BK.ravel()
    finite_P = lower_BT[row_P, column_P] < np.inf
    return row_P[finite_P], column_P[finite_P]


def _where(hits_BT: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns row and column of what is true, read in the order of memory."""
    if hits_BT.flags.f_contiguous:
        column_P, row_P = np.divmod(np.flatnonzero(hits_BT.T), len(hits_BT))
    else:
        row_P, column_P = np.divmod(np.flatnonzero(hits_BT), hits_BT.shape[1])
    return row_P, column_P
