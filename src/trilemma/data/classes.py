"""The names of a data set's classes, where it has classes."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from trilemma.data.datasets import DataSet
from trilemma.errors import UserError


@runtime_checkable
class Classified(Protocol):
    """A data set with classes."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names, in the order of the labels; they are known without the data set's files."""


def class_names(data: DataSet) -> tuple[str, ...]:
    """Returns the names in the order of the labels; raises UserError where the data set has no classes."""
    names = data.classes if isinstance(data, Classified) else ()
    if not names:
        raise UserError(f'the data set "{data.name}" has no classes.')
    return names


def rows_of_class(data: DataSet, split: str, label: int, count: int, start: int = 0) -> NDArray[np.int64]:
    """Returns the places of the pictures ``start`` to ``start + count`` of a class in a split.

    Raises:
        UserError: there are not so many.
    """
    labels_N = data.labels(split, range(data.count(split)))
    rows: NDArray[np.int64] = np.flatnonzero(labels_N == label)
    if len(rows) < start + count:
        name = class_names(data)[label]
        raise UserError(
            f'the split "{split}" of {data.name} has {len(rows):,} pictures of the class "{name}"; '
            f"{start + count:,} are needed."
        )
    return rows[start : start + count]
