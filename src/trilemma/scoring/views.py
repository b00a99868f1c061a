"""Image sources made of another: some of its images, or all of them resized or changed. Digests stay of content."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from trilemma.data import content
from trilemma.data.sources import ImageSource
from trilemma.data.squares import RULE, square
from trilemma.errors import UserError
from trilemma.identity import digest

Pixels = NDArray[np.uint8]
MAX_SIDE = 8192


class Chosen:
    """Some images of a source; see ``data.sources.ImageSource`` for what it promises.

    Args:
        source: where they come from; they are read, and decoded, when they are asked for.
        rows: int64 (N,), the place of each in the source, in ascending order; one may come more than once.
    """

    def __init__(self, source: ImageSource, rows: NDArray[np.int64]) -> None:
        assert (np.diff(rows) >= 0).all(), "compressed sources are read forwards"
        self.name = source.name
        self.skipped = source.skipped
        self.rows = rows
        self._source = source

    def __len__(self) -> int:
        return len(self.rows)

    def keys(self) -> list[str]:
        """Returns their keys in the source."""
        keys = self._source.keys()
        return [keys[row] for row in self.rows]

    def digest(self) -> str:
        """Returns the sha256 over the chosen images' pixels: the others are not even read."""
        return self._survey[0]

    def size(self) -> tuple[int, int] | None:
        """Returns (H, W), or None where sizes of the chosen images differ."""
        return self._survey[1]

    def images(self, start: int = 0, stop: int | None = None) -> Iterator[Pixels]:
        """Yields the chosen images ``start:stop``."""
        rows = self.rows[start:stop]
        for run in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1):
            if run.size:
                found = self._source.images(int(run[0]), int(run[-1]) + 1)
                for image, times in zip(found, np.unique(run, return_counts=True)[1], strict=True):
                    yield from repeat(image, times)

    @cached_property
    def _survey(self) -> tuple[str, tuple[int, int] | None]:
        parts, sizes = [], set()
        for image in self.images():
            parts.append(content.of_pixels(image))
            sizes.add((image.shape[0], image.shape[1]))
        return content.digest(parts), sizes.pop() if len(sizes) == 1 else None


class _Each:
    """Every image of a source, seen in another way."""

    def __init__(self, source: ImageSource) -> None:
        self.name = source.name
        self.skipped = source.skipped
        self._source = source

    def __len__(self) -> int:
        return len(self._source)

    def keys(self) -> list[str]:
        """Returns the source's keys."""
        return self._source.keys()


@dataclass(frozen=True, kw_only=True)
class Change:
    """What is done to images, one by one.

    Attributes:
        apply: a function of an image's position and pixels; it keeps the size.
        identity: plain data that name the function and all that it depends on, its version among them.
    """

    apply: Callable[[int, Pixels], Pixels]
    identity: tuple[str | float, ...]


class Changed(_Each):
    """Every image of a source after a change, which is made when the image is asked for."""

    def __init__(self, source: ImageSource, change: Change) -> None:
        super().__init__(source)
        self._change = change

    def digest(self) -> str:
        """Returns the sha256 over the source's content and the identity of the change; no image is changed for it."""
        return digest(["changed", self._change.identity, self._source.digest()])

    def size(self) -> tuple[int, int] | None:
        """Returns the size of the source's images."""
        return self._source.size()

    def images(self, start: int = 0, stop: int | None = None) -> Iterator[Pixels]:
        """Yields the images ``start:stop``, changed."""
        return (self._change.apply(start + i, image) for i, image in enumerate(self._source.images(start, stop)))


class Resized(_Each):
    """A source with every image scaled until its shorter side is ``side``, then cut to the square in its middle.

    The filter is Pillow's bicubic, which widens when it shrinks (anti-aliased); the result is rounded to uint8.
    """

    def __init__(self, source: ImageSource, side: int) -> None:
        if not 1 <= side <= MAX_SIDE:
            raise UserError(f"images can be resized to 1 to {MAX_SIDE:,} pixels, not {side}.", where="--resize")
        super().__init__(source)
        self._side = side

    def digest(self) -> str:
        """Returns the sha256 over the source's content and the way of resizing."""
        return digest(["resized", RULE, self._side, self._source.digest()])

    def size(self) -> tuple[int, int]:
        """Returns (side, side)."""
        return self._side, self._side

    def images(self, start: int = 0, stop: int | None = None) -> Iterator[Pixels]:
        """Yields the images ``start:stop``, resized."""
        return (square(image, self._side) for image in self._source.images(start, stop))
