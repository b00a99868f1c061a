"""Scenes as an image source: rendered when they are asked for, and never stored."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from trilemma.data import content, scenes
from trilemma.data.names import index_key
from trilemma.errors import UserError

_PIECE = 256


class ScenesImages:
    """The first pictures of a split of Scenes; see ``sources.ImageSource`` for what it promises."""

    skipped = 0

    def __init__(self, split: str, images: int, resolution: int) -> None:
        self.name = f"scenes/{split}"
        self._split = split
        self._images = images
        self._resolution = resolution

    def __len__(self) -> int:
        return self._images

    def keys(self) -> list[str]:
        """Returns the pictures' numbers, of fixed width."""
        return [index_key(index) for index in range(len(self))]

    def digest(self) -> str:
        """Returns the sha256 over the pixels, as an array of the same pictures has it; the first call renders all."""
        return self._digest

    def size(self) -> tuple[int, int]:
        """Returns (H, W)."""
        return self._resolution, self._resolution

    def images(self, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """Yields the pictures ``start:stop``, uint8 (H, W, 3)."""
        rows = range(len(self))[start:stop]
        for first in range(0, len(rows), _PIECE):
            yield from scenes.images(self._split, rows[first : first + _PIECE], self._resolution)

    @cached_property
    def _digest(self) -> str:
        return content.digest(map(content.of_pixels, self.images()))


def scenes_source(split: str, images: int, resolution: int = 32) -> ScenesImages:
    """Returns the pictures 0 to ``images`` of a split.

    Raises:
        UserError: there is no picture to give, the finite training split has fewer, or the resolution is below 8.
    """
    if images < 1:
        raise UserError(f"at least one image is needed, got {images}.", where=f"scenes/{split}")
    scenes.images(split, [images - 1], resolution)  # raises now what it would raise later
    return ScenesImages(split, images, resolution)
