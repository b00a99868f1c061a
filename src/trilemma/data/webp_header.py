"""The size that a WebP file declares, read from its first bytes: libwebp's decoder allocates the canvas at once."""

from __future__ import annotations


def webp_size(data: bytes) -> tuple[int, int]:
    """Returns (H, W) as the first chunk of a WebP file says it.

    Source: https://developers.google.com/speed/webp/docs/riff_container, and RFC 6386 section 9.1 for lossy frames.

    Raises:
        ValueError: the first chunk is none that a WebP file may begin with, or is cut off.
    """
    kind, body = data[12:16], data[20:30]
    if len(body) < 10:
        raise ValueError("its header is cut off")
    if kind == b"VP8X":
        return _number(body[7:10]) + 1, _number(body[4:7]) + 1
    if kind == b"VP8L":
        sizes = _number(body[1:5])
        return (sizes >> 14 & 0x3FFF) + 1, (sizes & 0x3FFF) + 1
    if kind == b"VP8 ":
        return _number(body[8:10]) & 0x3FFF, _number(body[6:8]) & 0x3FFF
    raise ValueError("its header is damaged")


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")
