"""Chosen images of a source, in a chosen order, some of them changed: itself a source of images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from trilemma.data import content
from trilemma.data.names import index_key
from trilemma.data.sources import ImageSource
from trilemma.scoring.distortions_pixels import Pixels

Change = Callable[[int, Pixels], Pixels]

_PIECE = 128


class ChosenImages:
    """The images ``rows`` of a source; see ``data.sources.ImageSource`` for what it promises.

    Args:
        name: for people.
        source: where the images come from; it is read, and decoded, when they are asked for.
        rows: int64 (N,), the place of each image in the source; one may come more than once.
        change: what is done to the image at a position of ``rows``, as a function of the position and the pixels.
    """

    skipped = 0

    def __init__(self, name: str, source: ImageSource, rows: NDArray[np.int64], change: Change | None = None) -> None:
        self.name = name
        self.rows = rows
        self._source = source
        self._change = change

    def __len__(self) -> int:
        return len(self.rows)

    def keys(self) -> list[str]:
        """Returns the positions: a source's own keys may come more than once here."""
        return [index_key(position) for position in range(len(self))]

    def digest(self) -> str:
        """Returns the sha256 over the pixels as they are after the change; the first call makes all of them."""
        return self._digest

    def size(self) -> tuple[int, int] | None:
        """Returns the size of the source's images: no change touches it."""
        return self._source.size()

    def images(self, start: int = 0, stop: int | None = None) -> Iterator[Pixels]:
        """Yields the images at the positions ``start:stop``, uint8 (H, W, 3)."""
        positions = range(len(self))[start:stop]
        for first in range(0, len(positions), _PIECE):
            yield from self._piece(positions[first : first + _PIECE])

    def _piece(self, positions: range) -> Iterator[Pixels]:
        """Reads a few images forwards, for compressed sources cannot go back, and yields them in their own order."""
        rows = self.rows[positions.start : positions.stop]
        wanted = np.unique(rows)
        read = (image for start, stop in _runs(wanted) for image in self._source.images(start, stop))
        found = dict(zip(wanted.tolist(), read, strict=True))
        for position, row in zip(positions, rows.tolist(), strict=True):
            yield found[row] if self._change is None else self._change(position, found[row])

    @cached_property
    def _digest(self) -> str:
        return content.digest(map(content.of_pixels, self.images()))


def _runs(rows: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yields start and stop of each stretch of consecutive rows: few large reads instead of many small ones."""
    for part in np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1):
        yield int(part[0]), int(part[-1]) + 1
