"""The row groups of Parquet files: where each begins, and one column of one of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trilemma.data import limits
from trilemma.data.damage import reading

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq


@dataclass(frozen=True, kw_only=True)
class RowGroup:
    """One row group.

    Attributes:
        path: its file. number: its place there.
        start: its first row, counted through all files; offset: counted in its own.
        rows: how many it has.
    """

    path: Path
    number: int
    start: int
    offset: int
    rows: int


def opened(path: Path) -> pq.ParquetFile:
    """Returns a file with its footer read, to be closed by ``with``."""
    import pyarrow.parquet as pq

    return pq.ParquetFile(path)


def row_groups(files: Sequence[Path], image: str) -> Iterator[RowGroup]:
    """Yields the row groups of files.

    Args:
        files: in order.
        image: the column of images, as a path inside the schema.

    Raises:
        UserError: a file is damaged, or the images of a row group are too many to be held.
    """
    start = 0
    for path in files:
        with reading("Parquet file", str(path)), opened(path) as file:
            told = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
            sizes = [(group.num_rows, _column_bytes(group, image)) for group in told]
        first = start
        for number, (rows, size) in enumerate(sizes):
            limits.check_row_group(size, f"{path}, row group {number + 1}")
            yield RowGroup(path=path, number=number, start=start, offset=start - first, rows=rows)
            start += rows


def read_column(group: RowGroup, column: str) -> pa.Array:
    """Returns a column of a row group; of a struct, the one field that ``column`` names."""
    import pyarrow as pa

    with reading("Parquet file", str(group.path)), opened(group.path) as file:
        found = file.read_row_group(group.number, columns=[column]).column(0).combine_chunks()
        if len(found) != group.rows:
            raise ValueError("it has changed since it was first read")
        return found.flatten()[0] if pa.types.is_struct(found.type) else found


def _column_bytes(group: Any, path: str) -> int:
    columns = [group.column(number) for number in range(group.num_columns)]
    return sum(column.total_uncompressed_size for column in columns if column.path_in_schema == path)
