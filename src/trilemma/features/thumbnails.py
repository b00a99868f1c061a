"""Thumbnails, which images are told to be copies by: averages over the cells of a 16 x 16 grid, in grey levels."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SIDE = 16

Pixels = NDArray[np.uint8]


def thumbnails(images: Iterable[Pixels]) -> NDArray[np.uint8]:
    """Returns uint8 ``(N, 768)``, channel by channel, of images uint8 ``(H, W, 3)`` of any size and aspect."""
    return np.stack([area_average(image, SIDE).transpose(2, 0, 1).reshape(-1) for image in images])


def area_average(image: Pixels, side: int) -> Pixels:
    """Returns ``(side, side, 3)``: the average over each cell of a grid that is laid over the whole image.

    A pixel counts in a cell by the share of its area that lies in it, so that any size gives a thumbnail, and an
    elongated image a squeezed one. Averages are rounded, halves to the even grey level.
    """
    height, width, channels = image.shape
    # Whole numbers throughout, float32 ones below 2**24 up to 65,000 rows: the same bytes on every machine.
    rows_SH, columns_SW = (_shares(length, side) for length in (height, width))
    rows_SWC = (rows_SH @ image.reshape(height, -1).astype(np.float32)).reshape(side, width, channels)
    sums_SSC = columns_SW.astype(np.float64) @ rows_SWC
    averages: Pixels = np.rint(sums_SSC / (height * width)).astype(np.uint8)
    return averages


@lru_cache(maxsize=64)
def _shares(length: int, side: int) -> NDArray[np.float32]:
    """Returns ``(side, length)``: how much of each pixel lies in each cell, where a pixel is ``side`` long."""
    cell_S1, pixel_L = np.arange(side)[:, None] * length, np.arange(length) * side
    ends = np.minimum(cell_S1 + length, pixel_L + side) - np.maximum(cell_S1, pixel_L)
    shares: NDArray[np.float32] = np.maximum(ends, 0).astype(np.float32)
    return shares
