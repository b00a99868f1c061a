"""The columns of samples and timings, in one place, and their checked reading and writing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trilemma.errors import UserError
from trilemma.store.atomic import write_table

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

READS = ("read_shape", "read_color", "read_background")
FREE_READS = ("read_x", "read_y", "read_size", "read_angle", "read_tint", "read_phase")
# What the instruments give for each image that is one number.
SCALARS = (*READS, *FREE_READS, "residual", "clip_score")

SAMPLES: Mapping[str, str] = {
    "model": "string",
    "set": "string",
    "key": "string",
    "prompt_id": "string",
    "index": "int64",
    "seed": "int64",
    "prompt": "string",
    "status": "string",
    "error": "string",
    "image_sha256": "string",
    "batch": "int64",
    "worker": "int64",
    "t_start": "float64",
    "t_end": "float64",
    "evaluations": "float64",
    "target_shape": "int64",
    "target_color": "int64",
    "target_background": "int64",
    **dict.fromkeys(READS, "int64"),
    **dict.fromkeys(FREE_READS, "float64"),
    "residual": "float64",
    "clip_score": "float64",
}
TIMINGS: Mapping[str, str] = {
    "model": "string",
    "scenario": "string",
    "batch_size": "int64",
    "call": "int64",
    "n_images": "int64",
    "wall_ns": "int64",
    "peak_rss_bytes": "int64",
    "allocated_bytes": "int64",
    "device": "string",
    "status": "string",
    "reason": "string",
}


def table(columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Returns an Arrow table with exactly the declared columns; a missing value is null, an undeclared one KeyError."""
    import pyarrow as pa

    for row in rows:
        if unknown := set(row) - set(columns):
            raise KeyError(f"no such column: {sorted(unknown)}")
    arrays = [pa.array([row.get(name) for row in rows], type=_kind(kind)) for name, kind in columns.items()]
    return pa.Table.from_arrays(arrays, names=list(columns))


def write_rows(path: Path, columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Puts the rows into a Parquet file with the declared columns."""
    write_table(path, table(columns, rows))


def read_table(path: Path) -> pa.Table:
    """Returns a Parquet file's table.

    Raises:
        UserError: there is no such file, or it cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise UserError("this part of the record is missing.", where=str(path))
    try:
        return pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"this part of the record is damaged: {error}.", where=str(path)) from None


def read_frame(path: Path) -> pd.DataFrame:
    """Returns a Parquet file as a data frame; raises UserError as :func:`read_table` does."""
    frame: pd.DataFrame = read_table(path).to_pandas()
    return frame


def _kind(name: str) -> pa.DataType:
    import pyarrow as pa

    return {"string": pa.string(), "int64": pa.int64(), "float64": pa.float64()}[name]
