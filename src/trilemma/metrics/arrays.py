"""Checks of what a metric is given."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trilemma.errors import UserError

ROWS_AT_A_TIME = 4096


def finite_matrix(features: ArrayLike, name: str) -> NDArray[np.float64]:
    """Returns ``features`` as float64 (N, D); raises UserError when they are not a finite matrix."""
    return number_matrix(features, name).astype(np.float64, copy=False)


def number_matrix(features: ArrayLike, name: str) -> NDArray[Any]:
    """Returns ``features`` (N, D) in the dtype that they have, uncopied; raises UserError unless they are finite."""
    matrix_ND = np.asarray(features)
    if matrix_ND.ndim != 2:
        raise UserError(f"{name} must have the shape (N, D); theirs is {matrix_ND.shape}.")
    if matrix_ND.dtype.kind not in "fiub":
        raise UserError(f"{name} must be numbers; their type is {matrix_ND.dtype}.")
    if matrix_ND.dtype.kind == "f":
        _require_finite(matrix_ND, name)
    return matrix_ND


def require_same_width(a_ND: NDArray[Any], b_MD: NDArray[Any]) -> None:
    """Raises UserError when two feature matrices differ in their number of columns."""
    if a_ND.shape[1] != b_MD.shape[1]:
        raise UserError(f"Features of different width cannot be compared: {a_ND.shape[1]} against {b_MD.shape[1]}.")


def unit_rows(matrix_ND: NDArray[Any], name: str) -> NDArray[np.float64]:
    """Returns the rows scaled to length 1, float64 (N, D); raises UserError when one is zero."""
    rows_ND = matrix_ND.astype(np.float64)
    norm_N1 = np.linalg.norm(rows_ND, axis=1, keepdims=True)
    if not norm_N1.all():
        raise UserError(f"{name}: {int((norm_N1 == 0).sum())} of {len(rows_ND)} rows are zero and have no direction.")
    rows_ND /= norm_N1
    return rows_ND


def _require_finite(matrix_ND: NDArray[Any], name: str) -> None:
    starts = range(0, len(matrix_ND), ROWS_AT_A_TIME)
    blocks = (matrix_ND[start : start + ROWS_AT_A_TIME] for start in starts)
    rows = sum(int((~np.isfinite(block)).any(axis=1).sum()) for block in blocks)
    if rows:
        raise UserError(f"{name}: {rows} of {len(matrix_ND)} rows hold entries that are not finite.")


def members(labels_N: NDArray[np.int64], groups: int) -> NDArray[np.float64]:
    """Returns which samples each group holds, 0 or 1, float64 (G, N): a product with it sums by group."""
    members_GN: NDArray[np.bool_] = labels_N == np.arange(groups)[:, None]
    return members_GN.astype(np.float64)
