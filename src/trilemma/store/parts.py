"""Finished batches: one part each, so that a killed run goes on where it was, and one file per model in the end."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trilemma.errors import UserError
from trilemma.store.arrays import read_arrays
from trilemma.store.atomic import write_arrays, write_table
from trilemma.store.layout import RunFolder
from trilemma.store.tables import SAMPLES, read_table, write_rows


def part_path(folder: RunFolder, model: str, set_name: str, batch: int) -> Path:
    """Returns the path of a batch's rows; its arrays lie beside it as ``.npz``."""
    return folder.parts(model) / f"{set_name}-{batch:05d}.parquet"


def write_part(
    folder: RunFolder,
    model: str,
    set_name: str,
    batch: int,
    rows: Sequence[Mapping[str, Any]],
    arrays: Mapping[str, NDArray[Any]],
) -> None:
    """Stores one finished batch. The rows come last: where they are, the arrays are."""
    path = part_path(folder, model, set_name, batch)
    if any(len(array) != len(rows) for array in arrays.values()):
        raise ValueError(f"every array needs {len(rows)} rows: { {n: len(a) for n, a in arrays.items()} }")
    write_arrays(path.with_suffix(".npz"), arrays)
    write_rows(path, SAMPLES, rows)


def is_done(folder: RunFolder, model: str, set_name: str, batch: int) -> bool:
    """Whether a batch is stored."""
    return part_path(folder, model, set_name, batch).is_file()


def consolidate(folder: RunFolder, model: str, batches: Sequence[tuple[str, int]]) -> None:
    """Joins the parts into one samples file and one features file in the order given; the parts stay.

    Raises:
        UserError: a part is missing or damaged.
    """
    import pyarrow as pa

    paths = [part_path(folder, model, set_name, batch) for set_name, batch in batches]
    arrays = [read_arrays(path.with_suffix(".npz")) for path in paths]
    if any(part.keys() != arrays[0].keys() for part in arrays):
        raise UserError("the parts of this model hold different arrays.", where=str(folder.parts(model)))
    joined = {name: np.concatenate([part[name] for part in arrays]) for name in arrays[0]}
    if joined:  # nothing is measured on images where a protocol names no networks
        write_arrays(folder.features(model), joined)
    write_table(folder.samples(model), pa.concat_tables([read_table(path, SAMPLES) for path in paths]))


def remove_parts(folder: RunFolder, model: str) -> None:
    """Removes the parts of a model whose samples are stored; a process that was killed at it may have left some."""
    if folder.parts(model).is_dir():
        shutil.rmtree(folder.parts(model))
    with contextlib.suppress(OSError):  # there is none, or another model has parts in it
        folder.parts(model).parent.rmdir()
