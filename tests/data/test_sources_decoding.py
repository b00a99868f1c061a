"""Decoding: what is converted, what is refused, and that damage is always seen."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from trilemma.data import limits
from trilemma.data.decoding import declared_size, decode
from trilemma.data.webp_header import webp_size
from trilemma.errors import UserError

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
RGB = np.random.default_rng(1).integers(0, 256, (6, 8, 3), dtype=np.uint8)
END = 12  # bytes of a PNG's last chunk, which holds nothing
SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"RIFF\x24\0\0\0WEBPVP8 ", b"BM", b"GIF89a", b"")


def encode(image: Image.Image | NDArray[Any], kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, kind, **options)
    return file.getvalue()


def png(width: int, height: int, depth: int, color: int, pixels: bytes) -> bytes:
    """A PNG written by hand: what Pillow does not write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def rgba(alpha: int) -> NDArray[np.uint8]:
    image = np.dstack([RGB, np.full(RGB.shape[:2], 255, np.uint8)])
    image[2, 3, 3] = alpha
    return image


def three(grey: NDArray[Any]) -> NDArray[np.uint8]:
    return np.repeat(np.asarray(grey, np.uint8)[..., None], 3, axis=2)


def refused(data: bytes) -> str:
    """What is said of bytes that both readers refuse, in one line that names the place."""
    for read in (declared_size, decode):
        with pytest.raises(UserError) as caught:
            read(data, "real/1.png")
    assert str(caught.value).startswith("real/1.png: ") and "\n" not in str(caught.value) and caught.value.hint
    return caught.value.what


@pytest.mark.parametrize(
    ("data", "wanted"),
    (
        (encode(GREY), three(GREY)),
        (encode(GREY > 100), three((GREY > 100) * 255)),
        (encode(Image.fromarray(RGB).quantize(256)), np.asarray(Image.fromarray(RGB).quantize(256).convert("RGB"))),
        (encode(rgba(255)), RGB),
        (encode(rgba(255), "WEBP", lossless=True), RGB),
        (encode(Image.merge("LA", [Image.fromarray(GREY), Image.new("L", (8, 6), 255)])), three(GREY)),
        (encode(RGB, transparency=(1, 2, 3)), RGB),
        (encode(RGB, "BMP"), RGB),
        (png(2, 1, 2, 0, b"\0\x90"), np.array([[[170] * 3, [85] * 3]], np.uint8)),
    ),
    ids=("grey", "1-bit", "palette", "opaque", "opaque WebP", "grey and alpha", "unused colour key", "BMP", "2-bit"),
)
def test_converted(data: bytes, wanted: NDArray[np.uint8]) -> None:
    found = decode(data, "x")
    assert found.dtype == np.uint8
    assert np.array_equal(found, wanted)
    assert declared_size(data, "x") == wanted.shape[:2]


@pytest.mark.parametrize("ending", ("JPEG", "WEBP"))
def test_lossy_formats_come_as_pillow_decodes_them(ending: str) -> None:
    data = encode(RGB, ending)
    assert np.array_equal(decode(data, "x"), np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
    grey = encode(GREY, ending)
    assert np.array_equal(decode(grey, "x"), np.asarray(Image.open(io.BytesIO(grey)).convert("RGB")))


def test_orientation_is_ignored() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    for ending in ("PNG", "JPEG"):
        assert np.array_equal(decode(encode(RGB, ending, exif=exif), "x"), decode(encode(RGB, ending), "x"))


@pytest.mark.parametrize(
    "data",
    (
        encode(rgba(254)),
        encode(rgba(0), "WEBP", lossless=True),
        encode(RGB, transparency=tuple(map(int, RGB[2, 3]))),
        encode(Image.fromarray(GREY).convert("P"), transparency=int(GREY[1, 1])),
        encode(GREY, transparency=int(GREY[1, 1])),
    ),
    ids=("RGBA", "WebP", "colour key", "palette", "grey key"),
)
def test_transparency_is_refused(data: bytes) -> None:
    with pytest.raises(UserError, match="transparent in places.*background"):
        decode(data, "x")


def test_sixteen_bits_are_refused() -> None:
    assert "16 bits per channel" in refused(encode(GREY.astype(np.uint16)))
    assert "16 bits per channel" in refused(png(1, 1, 16, 2, b"\0" + bytes(6)))
    assert "16 bits per channel" in refused(png(1, 1, 16, 6, b"\0" + bytes(8)))
    assert "16 bits per channel" in refused(png(1, 1, 16, 4, b"\0" + bytes(4)))


def test_cmyk_is_refused() -> None:
    assert refused(encode(Image.fromarray(RGB).convert("CMYK"), "JPEG")) == "this image is CMYK; RGB is needed."


@pytest.mark.parametrize("ending", ("PNG", "WEBP"))
def test_animation_is_refused(ending: str) -> None:
    frames = [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
    assert "animated" in refused(encode(frames[0], ending, save_all=True, append_images=frames[1:]))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("side", (9_000, 12_000, 30_000), ids="{0}".format)
@pytest.mark.parametrize("ending", ("PNG", "BMP", "JPEG"))
def test_bombs_are_refused_by_their_header(side: int, ending: str) -> None:
    bomb = png(side, side, 1, 0, bytes(1000))
    if ending == "BMP":
        bomb = (
            b"BM" + struct.pack("<IHHIIiiHHIIiiII", 1000, 0, 0, 54, 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(99)
        )
    if ending == "JPEG":
        small = encode(RGB, "JPEG")
        frame = small.index(b"\xff\xc0")
        bomb = small[: frame + 5] + struct.pack(">HH", side, side) + small[frame + 9 :]
    tracemalloc.start()
    assert f"{side:,} x {side:,} pixels" in refused(bomb)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


@pytest.mark.parametrize("lossless", (False, True))
@pytest.mark.parametrize("size", ((1, 1), (8, 6), (300, 200)))
def test_webp_says_its_size(size: tuple[int, int], lossless: bool) -> None:
    opaque = Image.new("RGB", size)
    for data in (
        encode(opaque, "WEBP", lossless=lossless),
        encode(opaque, "WEBP", lossless=lossless, exif=b"Exif\0\0x"),
        encode(Image.new("RGBA", size), "WEBP", lossless=lossless),
    ):
        assert webp_size(data) == size[::-1]


def test_a_webp_bomb_is_refused_before_its_canvas_is_allocated(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = bytearray(encode(rgba(255), "WEBP", save_all=True, append_images=[Image.fromarray(rgba(254))]))
    assert bomb[12:16] == b"VP8X"
    bomb[24:30] = (16_382).to_bytes(3, "little") * 2
    monkeypatch.setattr("trilemma.data.decoding.io.BytesIO", lambda _: pytest.fail("the decoder was called"))
    assert "16,383 x 16,383 pixels" in refused(bytes(bomb))


def test_the_limit_is_the_largest_size_that_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_PIXELS", 48)
    assert decode(encode(RGB), "x").shape == (6, 8, 3)
    monkeypatch.setattr(limits, "MAX_PIXELS", 47)
    assert "8 x 6 pixels; 1 to 47 in all are read" in refused(encode(RGB))


def test_what_is_no_image() -> None:
    assert "is no PNG, JPEG, WebP or BMP, whatever its name says" in refused(b"a shopping list\n")
    assert "is no PNG" in refused(encode(RGB, "GIF"))
    assert refused(b"") == "this file is empty."


@given(st.sampled_from(SIGNATURES), st.binary(max_size=200))
@settings(max_examples=300)
def test_noise_is_never_an_image(signature: bytes, noise: bytes) -> None:
    assert refused(signature + noise)


def refuse_or_shape(data: bytes) -> None:
    """Formats without checksums may answer a changed byte with a changed picture, never with an unnamed error."""
    try:
        assert decode(data, "x").shape[:2] == declared_size(data, "x")
    except UserError:
        pass


@given(st.data())
@settings(max_examples=300)
def test_a_changed_png_is_seen(data: st.DataObject) -> None:
    whole = bytearray(encode(RGB))
    position = data.draw(st.integers(0, len(whole) - END - 1))
    whole[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(UserError):
        decode(bytes(whole), "x")


@given(st.integers(0, len(encode(RGB)) - END))
@example(len(encode(RGB)) - END)
@settings(max_examples=60)
def test_a_cut_png_is_seen(length: int) -> None:
    with pytest.raises(UserError):
        decode(encode(RGB)[:length], "x")


@pytest.mark.parametrize("ending", ("JPEG", "WEBP", "BMP"))
def test_a_cut_image_is_seen(ending: str) -> None:
    noise = np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    whole = encode(noise, ending)
    for length in (1, 20, len(whole) // 2, len(whole) - 40):
        with pytest.raises(UserError):
            decode(whole[:length], "x")


@given(ending=st.sampled_from(("JPEG", "WEBP", "BMP")), data=st.data())
@settings(max_examples=200)
def test_a_changed_image_is_an_error_or_an_image(ending: str, data: st.DataObject) -> None:
    whole = bytearray(encode(RGB, ending))
    for position in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=4)):
        whole[position] ^= data.draw(st.integers(1, 255))
    refuse_or_shape(bytes(whole))
