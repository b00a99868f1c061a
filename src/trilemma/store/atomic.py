"""Writes that a kill at any moment cannot leave half done: temp file in the same folder, fsync, os.replace."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


UNFINISHED = ".tmp"


def write_bytes(path: Path, content: bytes) -> None:
    """Puts ``content`` at ``path``: whoever reads sees the old file or all of the new one. Makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=UNFINISHED, dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)  # mkstemp's 0600 would hide results from the rest of a team
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def remove_unfinished(folder: Path, *, older_than: float = 0.0) -> None:
    """Removes what writes that were killed have left under a folder.

    Args:
        older_than: seconds; where others may be writing, more than a write can take.
    """
    newest = time.time() - older_than
    for path in folder.rglob(f".*{UNFINISHED}"):
        with contextlib.suppress(FileNotFoundError):  # by now it has its name, or another process was as tidy
            if path.stat().st_mtime <= newest:
                path.unlink()


def write_text(path: Path, text: str) -> None:
    """Puts UTF-8 text at ``path``."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Puts indented JSON at ``path``; NaN or infinity in it is a ValueError."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_json_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    """Puts one JSON object per line at ``path``; NaN or infinity in one is a ValueError."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows))


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Puts an ``.npz`` of arrays at ``path``; objects are refused, for they would be pickled."""
    import numpy as np

    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{name: np.asarray(array) for name, array in arrays.items()})
    write_bytes(path, buffer.getvalue())


def write_table(path: Path, table: pa.Table) -> None:
    """Puts a Parquet file at ``path``."""
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    write_bytes(path, buffer.getvalue())
