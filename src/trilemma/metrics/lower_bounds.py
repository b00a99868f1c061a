"""Bounds of squared distances from one float32 matrix product: what can be told apart without float64.

With centred rows a and b, |a − b|² = |a|² + |b|² − 2 aᵀb. The three terms are one product of rows (a, |a|², 1) and
(−2b, 1, |b|²). In float32, u = 2⁻²⁴, its rounding is at most c(|a|² + |b|²) with c = (3D + 16)u: γ_{D+2} on the sum of
the terms' magnitudes, at most 2(|a|² + |b|²), γ_D on the norms and a few u on the rows themselves (N. J. Higham,
"Accuracy and Stability of Numerical Algorithms", 2nd edition, §3.1). Taking c off both norms beforehand makes the
product a lower bound at no cost; adding 2c(|a|² + |b|²) gives an upper one. Whatever the bounds leave open is computed
from the differences of the rows in float64, where duplicates are at distance 0 and no block can change a digit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trilemma.metrics.arrays import ROWS_AT_A_TIME, require_same_width

KEEP_BYTES = 64 * 2**20
PAIR_ENTRIES = 2**17


@dataclass(frozen=True, kw_only=True)
class Tile:
    """The shape of the blocks of distances that are held at a time."""

    rows: int = 512
    columns: int = 4096


class LowerBounds:
    """Lower bounds of the squared distances between queries (N, D) and a bank (M, D), both finite and of any dtype.

    Bounds are float32 in units of 1/``scale``², a power of two that keeps float32 from overflow and underflow.
    """

    def __init__(self, queries_ND: NDArray[Any], bank_MD: NDArray[Any], tile: Tile) -> None:
        require_same_width(queries_ND, bank_MD)
        self.queries_ND, self.bank_MD, self.tile = queries_ND, bank_MD, tile
        # Any centre serves, so long as both sides take the same: float32 rows stay float32.
        dtype = np.result_type(queries_ND.dtype, bank_MD.dtype, np.float32)
        centre_D = bank_MD.mean(axis=0, dtype=np.float64).astype(dtype)
        self.scale = _scale(queries_ND, bank_MD, centre_D)
        self.error = (3 * bank_MD.shape[1] + 16) * 2.0**-24
        frame = (centre_D, self.scale, self.error)
        self._left = _Operand(queries_ND, *frame, left=True)
        self._right = _Operand(bank_MD, *frame, left=False)

    def strips(self, rows: slice, first: int = 0) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yields (columns, bounds float32 (B, T)) for the given queries against the bank from row ``first`` on."""
        left_BE = self._left.rows(rows)
        for columns in slices(first, len(self.bank_MD), self.tile.columns):
            lower_BT: NDArray[np.float32] = left_BE @ self._right.rows(columns).T
            yield columns, lower_BT

    def upper(self, queries_P: NDArray[np.int64], bank_P: NDArray[np.int64], lower_P: NDArray[np.float32]) -> Any:
        """Returns upper bounds, float64 (P,), of pairs whose lower bounds are given."""
        norms_P = self._left.norms_N[queries_P] + self._right.norms_N[bank_P]
        return lower_P + 2 * self.error * norms_P

    def exact(self, queries_P: NDArray[np.int64], bank_P: NDArray[np.int64]) -> NDArray[np.float64]:
        """Returns the squared distances of pairs, float64 (P,), from the differences of their rows."""
        squared_P = np.empty(len(queries_P))
        for part in slices(0, len(queries_P), max(1, PAIR_ENTRIES // self.bank_MD.shape[1])):
            gap_BD = self.queries_ND[queries_P[part]].astype(np.float64)
            gap_BD -= self.bank_MD[bank_P[part]]
            squared_P[part] = np.einsum("bd,bd->b", gap_BD, gap_BD)
        return squared_P


def slices(start: int, stop: int, step: int) -> Iterator[slice]:
    """Yields consecutive slices of at most ``step`` that cover [start, stop)."""
    for first in range(start, stop, step):
        yield slice(first, min(first + step, stop))


class _Operand:
    """One side of the product, float32 (N, D + 2): kept when it is small, else made again for each block."""

    def __init__(
        self, features_ND: NDArray[Any], centre_D: NDArray[Any], scale: float, error: float, *, left: bool
    ) -> None:
        self.features_ND, self.centre_D, self.scale, self.error, self.left = features_ND, centre_D, scale, error, left
        n, width = features_ND.shape
        self.norms_N = np.empty(n)
        self._kept_NE = self._make(slice(0, n)) if 4 * n * (width + 2) <= KEEP_BYTES else None

    def rows(self, rows: slice) -> NDArray[np.float32]:
        return self._make(rows) if self._kept_NE is None else self._kept_NE[rows]

    def _make(self, rows: slice) -> NDArray[np.float32]:
        centred_BD = (self.features_ND[rows] - self.centre_D) * self.scale
        made_BE = np.empty((len(centred_BD), centred_BD.shape[1] + 2), dtype=np.float32)
        made_BE[:, :-2] = centred_BD
        self.norms_N[rows] = norms_B = np.einsum("bd,bd->b", centred_BD, centred_BD)
        one, norm = (-1, -2) if self.left else (-2, -1)
        made_BE[:, norm], made_BE[:, one] = norms_B * (1 - self.error), 1
        if not self.left:
            made_BE[:, :-2] *= -2
        return made_BE


def _scale(queries_ND: NDArray[Any], bank_MD: NDArray[Any], centre_D: NDArray[Any]) -> float:
    """Returns the power of two that brings the largest centred entry to about 1."""
    largest = max(_largest(queries_ND, centre_D), _largest(bank_MD, centre_D))
    return 1.0 if largest == 0 else float(2.0 ** -np.clip(np.frexp(largest)[1], -900, 900))


def _largest(features_ND: NDArray[Any], centre_D: NDArray[Any]) -> float:
    parts = slices(0, len(features_ND), ROWS_AT_A_TIME)
    return max((float(np.abs(features_ND[part] - centre_D).max()) for part in parts if len(features_ND)), default=0.0)
