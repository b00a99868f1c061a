"""Checks of what a metric is given."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trilemma.errors import UserError


def finite_matrix(features: ArrayLike, name: str) -> NDArray[np.float64]:
    """Returns ``features`` as float64 (N, D); raises UserError when they are not a finite matrix."""
    matrix_ND = np.asarray(features, dtype=np.float64)
    if matrix_ND.ndim != 2:
        raise UserError(f"{name} must have the shape (N, D); theirs is {matrix_ND.shape}.")
    if not np.isfinite(matrix_ND).all():
        rows = int((~np.isfinite(matrix_ND)).any(axis=1).sum())
        raise UserError(f"{name}: {rows} of {len(matrix_ND)} rows hold entries that are not finite.")
    return matrix_ND


def require_same_width(a_ND: NDArray[Any], b_MD: NDArray[Any]) -> None:
    """Raises UserError when two feature matrices differ in their number of columns."""
    if a_ND.shape[1] != b_MD.shape[1]:
        raise UserError(f"Features of different width cannot be compared: {a_ND.shape[1]} against {b_MD.shape[1]}.")
