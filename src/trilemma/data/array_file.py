"""Images in a NumPy file: ``.npy``, or ``arr_0`` of an ``.npz`` as the ADM evaluator lays it out.

Layout of ADM's sample batches: https://github.com/openai/guided-diffusion/tree/main/evaluations (the labels, ``arr_1``,
are not looked at). Files are read in pieces, in place, compressed or not; nothing in them is ever unpickled.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import IO
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from trilemma.data import content
from trilemma.data.array_header import Header, read_header
from trilemma.data.damage import reading
from trilemma.data.names import index_key
from trilemma.errors import UserError, suggest

IMAGES = "arr_0"
STATISTICS = frozenset({"mu", "sigma"})
_PIECE_BYTES = 2**24


class ArrayImages:
    """The images of one array, (N, H, W, 3) or (N, 3, H, W) uint8; see ``sources.ImageSource`` for what it promises.

    Args:
        name: what was given, for people.
        stream: a seekable stream that begins with the array's ``.npy`` header.
        length: how many bytes the stream says it has.

    Raises:
        UserError: the array is damaged, is not uint8, has another layout, or is shorter than its header says.
    """

    skipped = 0

    def __init__(self, name: str, stream: IO[bytes], length: int) -> None:
        self.name = name
        finalize(self, stream.close)
        self._stream = stream
        self._lock = Lock()
        self._header: Header = read_header(stream, length, name)

    def __len__(self) -> int:
        return self._header.images

    def keys(self) -> list[str]:
        """Returns the images' numbers, of fixed width."""
        return [index_key(index) for index in range(len(self))]

    def digest(self) -> str:
        """Returns the sha256 over the pixels: the same for ``.npy`` and ``.npz``, and for both orders of the axes."""
        return self._digest

    def size(self) -> tuple[int, int]:
        """Returns (H, W)."""
        return self._header.height, self._header.width

    def images(self, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """Yields the images ``start:stop``, read-only uint8 (H, W, 3). Going back in an ``.npz`` reads it anew."""
        first, last, _ = slice(start, stop).indices(len(self))
        step = max(1, _PIECE_BYTES // self._header.image_bytes)
        for row in range(first, last, step):
            yield from self._rows(row, min(row + step, last))

    @cached_property
    def _digest(self) -> str:
        return content.digest(map(content.of_pixels, self.images()))

    def _rows(self, start: int, stop: int) -> NDArray[np.uint8]:
        wanted = (stop - start) * self._header.image_bytes
        with reading("array", self.name), self._lock:
            self._stream.seek(self._header.origin + start * self._header.image_bytes)
            data = self._stream.read(wanted)
            if len(data) < wanted:
                raise EOFError("it is cut off")
        rows = np.frombuffer(data, np.uint8).reshape(stop - start, *self._header.shape[1:])
        return np.ascontiguousarray(rows.transpose(0, 2, 3, 1)) if self._header.channels_first else rows


def open_npy(path: Path) -> ArrayImages:
    """Returns the images of an ``.npy`` file; see :class:`ArrayImages`."""
    with reading("file", str(path)):
        return ArrayImages(str(path), path.open("rb"), path.stat().st_size)


def open_npz(path: Path) -> ArrayImages:
    """Returns the images of ``arr_0`` in an ``.npz`` file; see :class:`ArrayImages`.

    Raises:
        UserError: as there; or the file holds no ``arr_0``, such as a file of reference statistics.
    """
    with reading(".npz file", str(path)):
        archive = zipfile.ZipFile(path)
        arrays = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
        if IMAGES not in arrays:
            raise _no_images(arrays, str(path))
        return ArrayImages(str(path), archive.open(arrays[IMAGES]), arrays[IMAGES].file_size)


def holds_images(path: Path) -> bool:
    """Returns whether an ``.npz`` holds images, perhaps beside statistics, as in ADM's reference batches."""
    with zipfile.ZipFile(path) as archive:
        return f"{IMAGES}.npy" in archive.namelist()


def _no_images(names: dict[str, zipfile.ZipInfo], where: str) -> UserError:
    if STATISTICS <= names.keys():
        return UserError(
            "these are reference statistics, not images.", where=where, hint="Give them in place of a reference alone."
        )
    return UserError(f'there is no array "{IMAGES}" here.', where=where, hint=suggest(IMAGES, names))
