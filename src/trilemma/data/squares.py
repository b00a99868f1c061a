"""One image as a square: scaled until its shorter side fits, then cut to its middle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
RULE = "pillow bicubic, shorter side, centre square"


def square(image: Pixels, side: int) -> Pixels:
    """Returns one image as uint8 ``(side, side, 3)``; one that has this size already comes back as it is.

    The filter is Pillow's bicubic, which widens when it shrinks (anti-aliased); the result is rounded to uint8.
    """
    height, width = image.shape[:2]
    if (height, width) == (side, side):
        return image
    scale = side / min(height, width)
    whole = (max(side, round(width * scale)), max(side, round(height * scale)))
    picture = Image.fromarray(image).resize(whole, Image.Resampling.BICUBIC)
    left, top = ((length - side) // 2 for length in whole)
    return np.asarray(picture.crop((left, top, left + side, top + side)))
