"""Image sources made of another: some of its images, or all of them resized. Digests stay digests of content."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from trilemma.data import content
from trilemma.data.sources import ImageSource
from trilemma.errors import UserError
from trilemma.identity import digest

Pixels = NDArray[np.uint8]
MAX_SIDE = 8192


class Chosen:
    """Some images of a source, by ascending rows; see ``data.sources.ImageSource`` for what it promises."""

    def __init__(self, source: ImageSource, rows: NDArray[np.int64]) -> None:
        assert (np.diff(rows) > 0).all(), "compressed sources are read forwards"
        self.name = source.name
        self.skipped = source.skipped
        self._source = source
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def keys(self) -> list[str]:
        """Returns their keys in the source."""
        keys = self._source.keys()
        return [keys[row] for row in self._rows]

    def digest(self) -> str:
        """Returns the sha256 over the chosen images' pixels: the others are not even read."""
        return self._survey[0]

    def size(self) -> tuple[int, int] | None:
        """Returns (H, W), or None where sizes of the chosen images differ."""
        return self._survey[1]

    def images(self, start: int = 0, stop: int | None = None) -> Iterator[Pixels]:
        """Yields the chosen images ``start:stop``."""
        rows = self._rows[start:stop]
        for run in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1):
            if run.size:
                yield from self._source.images(int(run[0]), int(run[-1]) + 1)

    @cached_property
    def _survey(self) -> tuple[str, tuple[int, int] | None]:
        parts, sizes = [], set()
        for image in self.images():
            parts.append(content.of_pixels(image))
            sizes.add((image.shape[0], image.shape[1]))
        return content.digest(parts), sizes.pop() if len(sizes) == 1 else None


class Resized:
    """A source with every image scaled until its shorter side is ``side``, then cut to the square in its middle.

    The filter is Pillow's bicubic, which widens when it shrinks (anti-aliased); the result is rounded to uint8.
    """

    def __init__(self, source: ImageSource, side: int) -> None:
        if not 1 <= side <= MAX_SIDE:
            raise UserError(f"images can be resized to 1 to {MAX_SIDE:,} pixels, not {side}.", where="--resize")
        self.name = source.name
        self.skipped = source.skipped
        self._source = source
        self._side = side

    def __len__(self) -> int:
        return len(self._source)

    def keys(self) -> list[str]:
        """Returns the source's keys."""
        return self._source.keys()

    def digest(self) -> str:
        """Returns the sha256 over the source's content and the way of resizing."""
        return digest(["resized", "pillow bicubic, shorter side, centre square", self._side, self._source.digest()])

    def size(self) -> tuple[int, int]:
        """Returns (side, side)."""
        return self._side, self._side

    def images(self, start: int = 0, stop: int | None = None) -> Iterator[Pixels]:
        """Yields the images ``start:stop``, resized."""
        return (resized(image, self._side) for image in self._source.images(start, stop))


def resized(image: Pixels, side: int) -> Pixels:
    """Returns one image as uint8 ``(side, side, 3)``; one that has this size already comes back as it is."""
    height, width = image.shape[:2]
    if (height, width) == (side, side):
        return image
    scale = side / min(height, width)
    whole = (max(side, round(width * scale)), max(side, round(height * scale)))
    picture = Image.fromarray(image).resize(whole, Image.Resampling.BICUBIC)
    left, top = ((length - side) // 2 for length in whole)
    return np.asarray(picture.crop((left, top, left + side, top + side)))
