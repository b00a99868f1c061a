"""The columns of every table in one place, and the checked reading and writing of samples and timings."""

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
LABELS = ("target_label", "read_label")  # of a data set with classes
FREE_READS = ("read_x", "read_y", "read_size", "read_angle", "read_tint", "read_phase")
# What the instruments give for each image that is one number.
SCALARS = (*READS, *FREE_READS, "residual", "clip_score", "read_label")

Columns = Mapping[str, str]
# What there is to say of a run in one line, and of a number: the columns of the views of ``query``.
RUNS: Columns = {
    "run_id": "string",
    "created": "time",
    "ended": "time",
    "seconds": "float64",
    "status": "string",
    "error": "string",
    "partial": "bool",
    "protocol": "string",
    "protocol_version": "int64",
    "seed": "int64",
    "samples": "int64",
    "models": "strings",
    "failed_models": "strings",
    "images_planned": "int64",
    "images_done": "int64",
    "images_failed": "int64",
    "attempts": "int64",
    "parent_run_id": "string",
    "git": "string",
    "dirty": "bool",
    "tool_version": "string",
    "schema": "string",
    "device": "string",
    "hardware": "string",
    "cpu": "string",
    "cores": "int64",
    "memory_gib": "int64",
    "gpu": "string",
    "python": "string",
    "torch": "string",
}
METRICS: Columns = {
    "run_id": "string",
    "model": "string",
    "metric": "string",
    "set": "string",
    "metric_version": "int64",
    "series": "string",
    "extractor": "string",
    "value": "float64",
    "unit": "string",
    "direction": "string",
    "n": "int64",
    "n_reference": "int64",
    "se": "float64",
    "se_method": "string",
    "ci_low": "float64",
    "ci_high": "float64",
    "ci_level": "float64",
    "replicates": "int64",
    "status": "string",
    "reason": "string",
    "params": "json",
    "computed_at": "time",
    "tool_version": "string",
}
SAMPLES: Columns = {
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
    "width": "int64",
    "height": "int64",
    "batch": "int64",
    "attempt": "int64",
    "node": "string",
    "gpu_uuid": "string",
    "worker": "int64",
    "t_start": "float64",
    "t_end": "float64",
    "t_measured": "float64",
    "evaluations": "float64",
    "target_shape": "int64",
    "target_color": "int64",
    "target_background": "int64",
    **dict.fromkeys(READS, "int64"),
    **dict.fromkeys(FREE_READS, "float64"),
    "residual": "float64",
    "clip_score": "float64",
    **dict.fromkeys(LABELS, "int64"),
}
TIMINGS: Columns = {
    "model": "string",
    "session": "string",
    "replicate": "int64",
    "scenario": "string",
    "stage": "string",
    "batch_size": "int64",
    "call": "int64",
    "warmup": "bool",
    "compiled": "bool",
    "n_images": "int64",
    "wall_ns": "int64",
    "device_ns": "int64",
    "peak_rss_bytes": "int64",
    "allocated_bytes": "int64",
    "reserved_bytes": "int64",
    "sm_mhz": "int64",
    "temp_c": "int64",
    "power_w": "float64",
    "device": "string",
    "status": "string",
    "reason": "string",
}


def table(columns: Columns, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Returns an Arrow table with exactly the declared columns; a missing value is null, an undeclared one KeyError."""
    import pyarrow as pa

    for row in rows:
        if unknown := set(row) - set(columns):
            raise KeyError(f"no such column: {sorted(unknown)}")
    arrays = [pa.array([row.get(name) for row in rows], type=_kind(kind)) for name, kind in columns.items()]
    return pa.Table.from_arrays(arrays, names=list(columns))


def write_rows(path: Path, columns: Columns, rows: Sequence[Mapping[str, Any]]) -> None:
    """Puts the rows into a Parquet file with the declared columns."""
    write_table(path, table(columns, rows))


def read_table(path: Path, columns: Columns) -> pa.Table:
    """Returns a Parquet file's table with the declared columns, null where it is of a time before they were declared.

    Raises:
        UserError: there is no such file, it cannot be read, or a column of it is of another type.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise UserError("this part of the record is missing.", where=str(path))
    try:
        stored = pq.ParquetFile(path).read()
        arrays = [_column(stored, name, _kind(kind)) for name, kind in columns.items()]
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"this part of the record is damaged: {error}.", where=str(path)) from None
    return pa.Table.from_arrays(arrays, names=list(columns))


def read_frame(path: Path, columns: Columns) -> pd.DataFrame:
    """Returns a Parquet file as a data frame; raises UserError as :func:`read_table` does."""
    frame: pd.DataFrame = read_table(path, columns).to_pandas()
    return frame


def _column(stored: pa.Table, name: str, kind: pa.DataType) -> pa.ChunkedArray | pa.Array:
    import pyarrow as pa

    if name not in stored.column_names:
        return pa.nulls(len(stored), kind)
    return stored.column(name).cast(kind)


def _kind(name: str) -> pa.DataType:
    import pyarrow as pa

    if name == "time":
        return pa.timestamp("us", tz="UTC")
    kinds = {"string": pa.string(), "int64": pa.int64(), "float64": pa.float64(), "bool": pa.bool_()}
    return kinds["string" if name == "json" else name]
