"""Which pictures of a split are meant."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trilemma.errors import UserError


def rows_inside(indices: Sequence[int] | NDArray[np.int64], count: int, name: str, split: str) -> NDArray[np.int64]:
    """Returns places of pictures, int64 (N,); raises UserError where one lies outside of a split of ``count``."""
    rows = np.asarray(indices, dtype=np.int64)
    if rows.size and not (0 <= rows.min() and rows.max() < count):
        raise UserError(f'{name}: an index is outside the split "{split}" ({rows.min()} to {rows.max()}).')
    return rows
