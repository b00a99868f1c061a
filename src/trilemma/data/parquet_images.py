"""Images in Parquet files, read row group by row group: what is held in memory does not grow with their number."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trilemma.data import limits
from trilemma.data.damage import reading
from trilemma.data.labelled import LabelledImages
from trilemma.data.names import index_key
from trilemma.data.parquet_columns import Columns, columns_of
from trilemma.data.row_groups import opened, read_column, row_groups
from trilemma.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

HELD_BYTES = 2**28
NO_LABEL = -1


class ParquetImages(LabelledImages):
    """The images of a split's files, in their order; see ``sources.ImageSource`` for what it promises.

    Args:
        name: what was given, for people.
        files: in order.
        options: names of columns; see ``parquet_columns``.
        first: take so many rows at most.

    Raises:
        UserError: a file is damaged, has other columns than the first one, or a row group too large to be held.
    """

    skipped = 0

    def __init__(self, name: str, files: Sequence[Path], options: Mapping[str, str], first: int | None = None) -> None:
        self.name = name
        self.columns = _columns(files, options)
        self._files = files
        self._groups = [group for group in row_groups(files, self.columns.image) if group.rows]
        self._starts = [group.start for group in self._groups]
        rows = sum(group.rows for group in self._groups)
        self._rows = rows if first is None else min(first, rows)
        if not self._rows:
            raise UserError("there are no images here.", where=name)
        self._held: OrderedDict[int, pa.Array] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return self._rows

    def keys(self) -> list[str]:
        """Returns the images' numbers, of fixed width."""
        return [index_key(row) for row in range(self._rows)]

    def labels(self) -> NDArray[np.int64]:
        """Returns the classes of all images, int64 (N,); -1 where there is none."""
        if self.columns.label is None:
            return np.full(self._rows, NO_LABEL, dtype=np.int64)
        return np.concatenate([_labels(path, self.columns.label) for path in self._files])[: self._rows]

    @property
    def has_captions(self) -> bool:
        """Whether there is a column of them."""
        return self.columns.caption is not None

    def captions(self, rows_N: NDArray[np.int64]) -> list[str]:
        """Returns the captions of images; raises UserError where one is missing. Each row group is read once."""
        assert self.columns.caption is not None
        captions = [""] * len(rows_N)
        number, column = -1, None
        for place in np.argsort(rows_N, kind="stable").tolist():
            row = int(rows_N[place])
            if self._group_of(row) != number:
                number = self._group_of(row)
                column = read_column(self._groups[number], self.columns.caption)
            assert column is not None
            captions[place] = _caption(column[row - self._starts[number]].as_py(), self._where(row))
        return captions

    def _group_of(self, row: int) -> int:
        return bisect_right(self._starts, row) - 1

    def _where(self, row: int) -> str:
        group = self._groups[self._group_of(row)]
        return f"{group.path}, row {group.offset + row - group.start + 1}"

    def _bytes(self, row: int) -> bytes:
        number = self._group_of(row)
        data = self._images(number)[row - self._starts[number]].as_py()
        if data is None:
            hint = "A path may stand in their place: give the folder of the files instead."
            raise UserError("this row has no bytes of an image.", where=self._where(row), hint=hint)
        limits.check_file_bytes(len(data), self.name)
        return bytes(data)

    def _images(self, number: int) -> pa.Array:
        """Returns the images of a row group, encoded; those that were not asked for for longest are forgotten."""
        with self._lock:
            if number not in self._held:
                self._held[number] = read_column(self._groups[number], self.columns.image)
                while len(self._held) > 1 and sum(array.nbytes for array in self._held.values()) > HELD_BYTES:
                    self._held.popitem(last=False)
            self._held.move_to_end(number)
            return self._held[number]


def _columns(files: Sequence[Path], options: Mapping[str, str]) -> Columns:
    found: Columns | None = None
    for path in files:
        with reading("Parquet file", str(path)), opened(path) as file:
            here = columns_of(file.schema_arrow, options, str(path))
        if found is not None and here != found:
            raise UserError("this file has other columns than the first of its split.", where=str(path))
        found = here
    assert found is not None, "a split has files"
    return found


def _labels(path: Path, column: str) -> NDArray[np.int64]:
    with reading("Parquet file", str(path)), opened(path) as file:
        found = file.read(columns=[column]).column(0).fill_null(NO_LABEL)
        return np.asarray(found.to_numpy(), dtype=np.int64)


def _caption(value: Any, where: str) -> str:
    texts = value if isinstance(value, list) else [value]
    caption = next((text.strip() for text in texts if isinstance(text, str) and text.strip()), None)
    if caption is None:
        raise UserError("this row has no caption.", where=where)
    return caption
