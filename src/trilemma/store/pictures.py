"""Images as PNG files: many of one size as tiles of one picture."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
# Of 1 to 9; the highest saves a tenth of the bytes for three times the time.
_LEVEL = 1


def png(pixels_HWC: Pixels) -> bytes:
    """Returns an RGB picture as a PNG file; equal pixels, equal bytes."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels_HWC).save(buffer, format="PNG", compress_level=_LEVEL)
    return buffer.getvalue()


def tile(pixels_NHWC: Pixels, columns: int) -> Pixels:
    """Returns one picture ``(rows*H, columns*W, 3)``, row by row from the upper left, narrower where one row holds all.

    What is left of the last row is black.
    """
    count, height, width, channels = pixels_NHWC.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    canvas = np.zeros((rows * columns, height, width, channels), np.uint8)
    canvas[:count] = pixels_NHWC
    table = canvas.reshape(rows, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(table.reshape(rows * height, columns * width, channels))
