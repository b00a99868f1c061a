"""Small pictures inside the page: tiles of one size on one PNG."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np

from trilemma.features.thumbnails import area_average
from trilemma.store.pictures import Pixels, png, tile

LARGEST = 128
"""Pixels of a tile's side: what is larger is shrunk, for the page carries every byte of it."""
Box = tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True)
class Tiled:
    """A picture of square tiles in rows, under the id by which the page refers to it.

    Attributes:
        size: width and height in pixels.
        side: of a tile.
    """

    id: str
    png: bytes
    size: tuple[int, int]
    side: int
    columns: int

    @property
    def data_uri(self) -> str:
        """The picture as a ``data:`` address."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")

    def box(self, number: int) -> Box:
        """Returns where a tile lies: left, top, width, height."""
        row, column = divmod(number, self.columns)
        return column * self.side, row * self.side, self.side, self.side


def tiled(name: str, images_NHWC: Pixels, columns: int) -> Tiled:
    """Returns square images as tiles of one picture, ``columns`` in a row."""
    if images_NHWC.shape[1] > LARGEST:
        images_NHWC = np.stack([area_average(image, LARGEST) for image in images_NHWC])
    picture = tile(images_NHWC, columns)
    height, width = picture.shape[:2]
    side = images_NHWC.shape[1]
    return Tiled(id=name, png=png(picture), size=(width, height), side=side, columns=width // side)
