"""The commonest kind of PNG on a short way: 8-bit RGB, not interlaced, nothing but pixels that matters.

Pillow parses every chunk in Python, twice where checksums are wanted, which takes longer than the pixels of a small
image do. Whatever is not plain, or not sound, is left to it, and so is every word of an error.
Format: https://www.w3.org/TR/png-3/
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB8 = b"\x08\x02\x00\x00\x00"  # depth, colour type, and the one compression, filter and order that there are
_WITHOUT_MEANING = frozenset({b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"tEXt", b"tIME"})
_CHUNK = struct.Struct(">I4s")
_SIZE = struct.Struct(">II")
_CHECKSUM = struct.Struct(">I")

Chunk = tuple[bytes, int, int]  # kind, and where its content begins and ends


def plain_size(data: bytes) -> tuple[int, int] | None:
    """Returns (H, W) of a PNG that is plain as far as its pixels begin; None where it is not."""
    size = _header(data)
    for kind, _, _ in _chunks(data, 33):
        if kind == b"IDAT":
            return size
        if kind not in _WITHOUT_MEANING:
            break
    return None


def decode_plain(data: bytes) -> NDArray[np.uint8] | None:
    """Returns a plain PNG as uint8 ``(H, W, 3)``, all its checksums looked at; None where it is not plain or sound."""
    size = _header(data)
    pixels = None if size is None else _pixels(data)
    if size is None or pixels is None:
        return None
    try:
        image = Image.frombytes("RGB", (size[1], size[0]), pixels, "zip", "RGB")
    except ValueError:
        return None
    return np.frombuffer(image.tobytes(), np.uint8).reshape(*size, 3)  # numpy's way to the same bytes is twice as long


def _header(data: bytes) -> tuple[int, int] | None:
    if data[:16] != SIGNATURE + b"\0\0\0\rIHDR" or data[24:29] != _RGB8 or len(data) < 33:
        return None
    width, height = _SIZE.unpack_from(data, 16)
    return height, width


def _chunks(data: bytes, start: int) -> Iterator[Chunk]:
    """Yields chunks up to the one that would end behind the data."""
    while start + 12 <= len(data):
        length, kind = _CHUNK.unpack_from(data, start)
        if start + 12 + length > len(data):
            return
        yield kind, start + 8, start + 8 + length
        start += 12 + length


def _pixels(data: bytes) -> bytes | None:
    """Returns the compressed pixels, where they end the image, nothing stands between them, and all checksums hold."""
    parts: list[bytes] = []
    for kind, start, end in _chunks(data, 8):
        if crc32(data[start - 4 : end]) != _CHECKSUM.unpack_from(data, end)[0]:
            return None
        if kind == b"IDAT":
            parts.append(data[start:end])
        elif kind == b"IEND":
            return b"".join(parts) if parts and end == start and end + 4 == len(data) else None
        elif parts or not (kind in _WITHOUT_MEANING or (kind == b"IHDR" and start == 16)):
            return None
    return None
