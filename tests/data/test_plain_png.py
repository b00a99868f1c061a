"""The short way through plain PNG files leads to what Pillow's way leads to: the same pixels, or the same refusal."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from trilemma.data import decoding, limits
from trilemma.data.plain_png import decode_plain, plain_size
from trilemma.errors import UserError

pictures = st_numpy.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3)))


def png(image: NDArray[np.uint8], **how: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", **how)
    return file.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def before_pixels(data: bytes, extra: bytes) -> bytes:
    return data[:33] + extra + data[33:]


def some_picture() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def outcome(of: Callable[[bytes, str], Any], data: bytes) -> Any:
    try:
        found = of(data, "x")
    except UserError:
        return "refused"
    return found.tolist() if isinstance(found, np.ndarray) else found


@pytest.fixture
def by_pillow(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], Any]:
    def decoded(data: bytes) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(decoding, "plain_size", lambda data: None)
            return outcome(decoding.decode, data)

    return decoded


@given(image=pictures, level=st.integers(0, 9))
@settings(max_examples=60)
def test_pixels_are_those_that_were_saved(image: NDArray[np.uint8], level: int) -> None:
    data = png(image, compress_level=level)
    found = decode_plain(data)
    assert found is not None and found.dtype == np.uint8 and np.array_equal(found, image)
    assert plain_size(data) == image.shape[:2]


def test_every_damaged_byte_has_the_outcome_that_it_has_by_pillow(by_pillow: Callable[[bytes], Any]) -> None:
    data = png(some_picture())
    for place in range(len(data)):
        for mask in (1, 32, 255):
            damaged = data[:place] + bytes([data[place] ^ mask]) + data[place + 1 :]
            assert outcome(decoding.decode, damaged) == by_pillow(damaged), (place, mask)


def test_every_cut_has_the_outcome_that_it_has_by_pillow(by_pillow: Callable[[bytes], Any]) -> None:
    data = png(some_picture())
    for length in range(len(data)):
        assert outcome(decoding.decode, data[:length]) == by_pillow(data[:length]), length
    assert outcome(decoding.decode, data + b"more") == by_pillow(data + b"more")


def test_large_pictures_in_several_parts_are_plain() -> None:
    image = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    data = png(image)
    assert data.count(b"IDAT") > 1
    found = decode_plain(data)
    assert found is not None and np.array_equal(found, image)


def test_what_has_a_meaning_is_left_to_pillow(by_pillow: Callable[[bytes], Any]) -> None:
    image, told = some_picture(), PngInfo()
    told.add_text("Software", "x")
    assert decode_plain(png(image, pnginfo=told, dpi=(72, 72))) is not None
    transparent = before_pixels(png(image), chunk(b"tRNS", bytes(6)))
    animated = before_pixels(png(image), chunk(b"acTL", struct.pack(">II", 2, 0)))
    others = [png(image[..., 0]), png(np.dstack([image, image[..., :1]])), transparent, animated]
    for data in others:
        assert decode_plain(data) is None and plain_size(data) is None
        assert outcome(decoding.decode, data) == by_pillow(data)


def test_sizes_are_bounded_on_the_short_way_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_PIXELS", 34)
    for ask in (decoding.decode, decoding.declared_size):
        with pytest.raises(UserError, match="7 x 5 pixels"):
            ask(png(some_picture()), "x")
