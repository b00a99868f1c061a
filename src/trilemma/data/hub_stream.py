"""A split of a data set of the hub, streamed into a Parquet file: what is held in memory is one row group.

The package ``datasets`` reads whatever a repository keeps its pictures in. What it hands over are their encoded bytes,
which are stored as they are; nothing of a repository is executed.
"""

from __future__ import annotations

import importlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from trilemma.data.located import Located
from trilemma.data.parquet_columns import BYTES
from trilemma.errors import UserError

EXTRA = "datasets"
OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE")
ROWS = 64
GROUP_BYTES = 2**26  # a row group ends where its pictures have so many
KEPT = ("Image", "ClassLabel", "Value", "List", "LargeList", "Sequence")

Row = dict[str, Any]


def download(found: Located, split: str, target: Path, first: int | None) -> None:
    """Writes a split to ``target``, whole or not at all.

    Args:
        found: repository, revision and configuration.
        split: which one.
        target: a Parquet file; its folder is made.
        first: take so many rows at most.

    Raises:
        UserError: the network may not be used, the package ``datasets`` is missing, there is no such data set or split,
            it holds no pictures, or something failed on the way.
    """
    _check_allowed(found)
    package = _package(found)
    with _failing(found):
        stream = _opened(package, found, split)
        images = [name for name, feature in stream.features.items() if type(feature).__name__ == "Image"]
    if not images:
        raise UserError(f'there are no pictures in "{split}", but {", ".join(stream.features)}.', where=found.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(descriptor)
    try:
        with _failing(found):
            _write(Path(name), stream.features.arrow_schema, _checked(islice(stream, first), images, found), images)
        Path(name).chmod(0o644)
        os.replace(name, target)
    finally:
        Path(name).unlink(missing_ok=True)


def _check_allowed(found: Located) -> None:
    for variable in OFFLINE:
        if os.environ.get(variable, "").upper() in ("1", "ON", "YES", "TRUE"):
            raise UserError(f"${variable} is set: nothing is downloaded.", where=found.name)


def _package(found: Located) -> Any:
    try:
        return importlib.import_module("datasets")
    except ModuleNotFoundError:
        hint = f"Install it: pip install 'trilemma[{EXTRA}]'."
        raise UserError("the package datasets is not installed.", where=found.name, hint=hint) from None


@contextmanager
def _failing(found: Located) -> Iterator[None]:
    """Whatever the package or the network raises becomes one line: there are many kinds, and no common one."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        told = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise UserError(f"this data set cannot be downloaded: {told[:300]}.", where=found.name) from None


def _opened(package: Any, found: Located, split: str) -> Any:
    """Returns the stream of a split, with its pictures left encoded and without what cannot be kept."""
    stream = package.load_dataset(
        found.place, found.options.get("config"), split=split, revision=found.revision, streaming=True
    )
    if stream.features is None:  # not told by the repository, but by its first rows
        stream = stream._resolve_features()
    kinds = {name: type(feature).__name__ for name, feature in stream.features.items()}
    stream = stream.select_columns([name for name, kind in kinds.items() if kind in KEPT])
    for name, kind in kinds.items():
        if kind == "Image":
            stream = stream.cast_column(name, package.Image(decode=False))
    return stream


def _checked(rows: Iterable[Row], images: list[str], found: Located) -> Iterator[Row]:
    for number, row in enumerate(rows, 1):
        for name in images:
            image: Mapping[str, Any] | None = row[name]
            if image is not None and image[BYTES] is None:
                hint = "The hub has most as Parquet files too: name the commit of the branch refs/convert/parquet."
                raise UserError(f"row {number} has a path and no picture.", where=found.name, hint=hint)
        yield row


def _write(path: Path, schema: Any, rows: Iterable[Row], images: list[str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetWriter(path, schema) as writer:
        for group in _groups(rows, images):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))


def _groups(rows: Iterable[Row], images: list[str]) -> Iterator[list[Row]]:
    group: list[Row] = []
    size = 0
    for row in rows:
        group.append(row)
        size += sum(len(row[name][BYTES]) for name in images if row[name] is not None)
        if len(group) == ROWS or size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group
