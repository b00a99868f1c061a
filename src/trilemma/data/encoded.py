"""Encoded images in an order of their own: what every source of files shares, wherever their bytes come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from trilemma.data import content
from trilemma.data.decoding import declared_size, decode
from trilemma.data.ordered import in_order, in_runs

SMALL_FILE, HELD_BYTES = 2**14, 2**26
"""Files as small as this are kept in memory once they are read, up to so many bytes of them together: opening one takes
as long as decoding it, and much longer where the system does not hold it any more. Of decoding one, most is Python."""


class Encoded(ABC):
    """Images that are decoded when they are asked for; see ``sources.ImageSource`` for what it promises.

    Attributes:
        name: what was given, for people.
        skipped: how many files were passed over.
    """

    name: str
    skipped: int

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def keys(self) -> list[str]:
        """Returns the images' stable names, sorted."""

    @abstractmethod
    def _where(self, row: int) -> str:
        """Returns the words that name an image in an error."""

    @abstractmethod
    def _bytes(self, row: int) -> bytes:
        """Returns an image as it is stored; called in threads."""

    def digest(self) -> str:
        """Returns the sha256 over the encoded images' bytes; the first call reads them all, and judges every header."""
        return self._survey[0]

    def size(self) -> tuple[int, int] | None:
        """Returns (H, W), or None where sizes differ; the first call reads all files, as that of :meth:`digest`."""
        return self._survey[1]

    def images(self, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """Yields the images of ``keys()[start:stop]``, uint8 (H, W, 3), decoded in threads a few ahead.

        Those that are in memory are decoded when they are asked for, some at a time.
        """
        return self.at(range(len(self))[start:stop])

    def at(self, rows: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
        """Yields the images at some places, in the order given, as :meth:`images` does."""
        return in_order(self._decoded, rows, by_reader=self._small_files.__contains__)

    @cached_property
    def _survey(self) -> tuple[str, tuple[int, int] | None]:
        sizes: set[tuple[int, int]] = set()
        whole = content.digest(self._noting(sizes))
        return whole, sizes.pop() if len(sizes) == 1 else None

    def _noting(self, sizes: set[tuple[int, int]]) -> Iterator[bytes]:
        held = 0
        for row, (part, size, data) in enumerate(in_runs(self._looked_at, range(len(self)))):
            sizes.add(size)
            if data is not None and held + len(data) <= HELD_BYTES:
                self._small_files[row] = data
                held += len(data)
            yield part

    def _looked_at(self, row: int) -> tuple[bytes, tuple[int, int], bytes | None]:
        data = self._bytes(row)
        size = declared_size(data, self._where(row))
        return content.of_file(data), size, data if len(data) <= SMALL_FILE else None

    @cached_property
    def _small_files(self) -> dict[int, bytes]:
        return {}

    def _decoded(self, row: int) -> NDArray[np.uint8]:
        return decode(self._small_files.get(row) or self._bytes(row), self._where(row))
