"""What images hold, as one digest: never names, times or containers.

An image counts by its own sha256, so that bytes cannot move from one image to the next unseen; a source's digest is the
sha256 over these, in order. Encoded files count by their bytes, arrays by their pixels and shape.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def digest(images: Iterable[bytes]) -> str:
    """Returns the digest of a source, 64 hex characters, from :func:`of_file` or :func:`of_pixels` of its images."""
    whole = hashlib.sha256()
    for image in images:
        whole.update(image)
    return whole.hexdigest()


def of_file(data: bytes) -> bytes:
    """Returns the sha256 of an encoded image, 32 bytes."""
    return hashlib.sha256(data).digest()


def of_pixels(image: NDArray[np.uint8]) -> bytes:
    """Returns the sha256 of a uint8 (H, W, 3) image and its shape, 32 bytes."""
    height, width, _ = image.shape
    one = hashlib.sha256(f"rgb8 {height}x{width}\n".encode())
    one.update(np.ascontiguousarray(image).data)
    return one.digest()
