"""What an ``.npy`` header says of images, and what speaks against it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.lib import format as npy_format

from trilemma.data import limits
from trilemma.data.damage import reading
from trilemma.errors import UserError

_SCANNED_BYTES = 2**28  # how far an array that is refused anyway is searched for NaN
_PIECE_BYTES = 2**24


@dataclass(frozen=True, kw_only=True)
class Header:
    """Where the pixels of N images begin, and how they lie: (N, H, W, 3), or (N, 3, H, W) with ``channels_first``."""

    origin: int
    shape: tuple[int, int, int, int]
    channels_first: bool

    @property
    def images(self) -> int:
        """N."""
        return self.shape[0]

    @property
    def height(self) -> int:
        """H, in pixels."""
        return self.shape[2 if self.channels_first else 1]

    @property
    def width(self) -> int:
        """W, in pixels."""
        return self.shape[3 if self.channels_first else 2]

    @property
    def image_bytes(self) -> int:
        """Bytes of one image."""
        return math.prod(self.shape[1:])


def read_header(stream: IO[bytes], length: int, where: str) -> Header:
    """Returns the header that a stream of ``length`` bytes begins with.

    Raises:
        UserError: it is damaged, is not of uint8 images, or promises more than ``length`` holds.
    """
    with reading("array", where):
        # Version 1 is what NumPy writes for arrays like these; a later one may announce a header of 4 GiB.
        if npy_format.read_magic(stream) != (1, 0):
            raise ValueError("its header is not of version 1.0")
        shape, fortran_order, dtype = npy_format.read_array_header_1_0(stream)
        origin = stream.tell()
        _check_dtype(stream, shape, dtype, where)
    header = Header(origin=origin, shape=_image_shape(shape, where), channels_first=shape[3] != 3)
    limits.check_pixels(header.height, header.width, where)
    if fortran_order:
        raise UserError("this array is in Fortran order.", where=where, hint="Save np.ascontiguousarray of it.")
    if origin + header.images * header.image_bytes > length:
        raise UserError(f"this array is cut off: its header promises {header.images:,} images.", where=where)
    return header


def _image_shape(shape: tuple[int, ...], where: str) -> tuple[int, int, int, int]:
    # Exactly one of the two axes may be 3: pictures of 3 pixels a side would fit both layouts.
    if len(shape) != 4 or (shape[1] == 3) == (shape[3] == 3) or shape[0] < 1:
        raise UserError(
            f"this array has the shape {shape}; images are (N, H, W, 3) or (N, 3, H, W), with N of at least 1.",
            where=where,
        )
    return shape[0], shape[1], shape[2], shape[3]


def _check_dtype(stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[np.generic], where: str) -> None:
    if dtype == np.uint8:
        return
    found = (
        f"{dtype}, and NaN in image {nan:,}" if (nan := _first_nan(stream, shape, dtype)) is not None else f"{dtype}"
    )
    raise UserError(
        f"this array holds {found}; images are uint8, 0 to 255.",
        where=where,
        hint="Convert it with the range and rounding that you mean, such as np.rint(x * 255).astype(np.uint8).",
    )


def _first_nan(stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> int | None:
    """The number of the first image with a NaN, in row-major order."""
    if dtype.kind != "f" or not math.prod(shape):
        return None
    for start in range(0, _SCANNED_BYTES, _PIECE_BYTES):
        data = stream.read(_PIECE_BYTES)
        values = np.frombuffer(data, dtype, count=len(data) // dtype.itemsize)
        if (found := np.flatnonzero(np.isnan(values))).size:
            return int(start // dtype.itemsize + found[0]) // math.prod(shape[1:])
    return None
