"""Features on disk under the digest of what they were made of: images by their content, extractor by its identity.

Features come in shards; a shard is there whole or not at all, whoever writes it. So a killed extraction goes on at the
edge of a shard, two of them at once do no harm, and no more than a shard is ever held in memory.
"""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from trilemma.errors import UserError
from trilemma.identity import digest

FORMAT = 1
SHARD = 1024
Arrays = dict[str, NDArray[Any]]
T = TypeVar("T")

_INDEX = "index.json"
_DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


def shards(images: int) -> list[tuple[int, int]]:
    """Returns first image and end of every shard."""
    return [(start, min(start + SHARD, images)) for start in range(0, images, SHARD)]


@dataclass(frozen=True, kw_only=True)
class CachedFeatures:
    """The features of the first ``images`` images of one source by one extractor.

    Attributes:
        root: the cache folder.
        source: the source's digest, which is over content.
        identity: the extractor's.
        images: how many.
    """

    root: Path
    source: str
    identity: Mapping[str, Any]
    images: int

    @property
    def folder(self) -> Path:
        """Where they lie."""
        key = digest([FORMAT, self.source, dict(self.identity), self.images])
        return self.root / "features" / key[:32]

    def read(self) -> Arrays | None:
        """Returns the arrays, mapped from disk and read-only; None where they are incomplete or damaged."""
        try:
            index = json.loads((self.folder / _INDEX).read_text(encoding="utf-8"))
            arrays = {name: np.load(self._array(name), mmap_mode="r", allow_pickle=False) for name in index["arrays"]}
        except _DAMAGE:
            return None
        return arrays if all(len(array) == self.images for array in arrays.values()) else None

    def has(self, start: int) -> bool:
        """Whether the shard that begins at this image is there."""
        return self._shard(start).is_file()

    def write(self, start: int, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Keeps the shard that begins at this image."""
        _replace(self._shard(start), lambda file: np.savez(file, allow_pickle=False, **arrays))

    def finish(self) -> Arrays:
        """Joins the shards to one file per array, removes them, and returns the arrays.

        Raises:
            UserError: a shard is damaged (it is removed: the next extraction makes it anew).
        """
        with suppress(FileNotFoundError):  # another process has just finished, and removed them
            if self.read() is None:
                self._join_all()
        for start, _ in shards(self.images):
            self._shard(start).unlink(missing_ok=True)
        arrays = self.read()
        if arrays is None:
            raise UserError("these features are damaged.", where=str(self.folder), hint="Run it again.")
        return arrays

    def _join_all(self) -> None:
        names = self._load(0, lambda stored: stored.files)
        for name in names:
            self._join(name)
        index = {"arrays": names, "images": self.images, "source": self.source, "extractor": dict(self.identity)}
        _replace(self.folder / _INDEX, lambda file: file.write(json.dumps(index, indent=1).encode()))

    def _join(self, name: str) -> None:
        def rows(start: int) -> NDArray[Any]:
            return self._load(start, lambda stored: np.ascontiguousarray(stored[name]))

        first = rows(0)
        header = {"descr": first.dtype.str, "fortran_order": False, "shape": (self.images, *first.shape[1:])}

        def copy(file: IO[bytes]) -> None:
            np.lib.format.write_array_header_2_0(file, header)
            for start, end in shards(self.images):
                shard = rows(start)
                assert shard.shape == (end - start, *first.shape[1:]) and shard.dtype == first.dtype
                file.write(shard.tobytes())

        _replace(self._array(name), copy)

    def _load(self, start: int, take: Callable[[Any], T]) -> T:
        path = self._shard(start)
        try:
            with np.load(path, allow_pickle=False) as stored:
                return take(stored)
        except FileNotFoundError:
            raise
        except _DAMAGE as error:
            path.unlink(missing_ok=True)
            raise UserError(f"these features are damaged: {error}.", where=str(path), hint="Run it again.") from None

    def _array(self, name: str) -> Path:
        return self.folder / f"{name}.npy"

    def _shard(self, start: int) -> Path:
        return self.folder / f"shard-{start:09d}.npz"


def read_in_blocks(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yields the rows of cached features, some at a time.

    They are read from their file and not through its mapping: pages that were looked at once stay in memory with it, so
    that all of them would be there in the end.
    """
    assert isinstance(array, np.memmap) and array.filename is not None, "cached features are mapped from disk"
    with Path(array.filename).open("rb") as file:
        file.seek(array.offset)
        for start, end in shards(len(array)):
            rows = np.fromfile(file, array.dtype, (end - start) * array[0].size)
            yield rows.reshape(end - start, *array.shape[1:])


def _replace(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Puts a file at ``path`` whole or not at all, and makes its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
