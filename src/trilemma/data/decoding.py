"""An encoded image's bytes as uint8 RGB: the one place that says what is read, converted, ignored and refused.

*Read*: PNG, JPEG, WebP and BMP, known by their first bytes, whatever the ending says.
*Converted*: 1-bit, greyscale and palette become RGB; an alpha channel that is opaque everywhere is dropped.
*Ignored*, as torch-fidelity, pytorch-fid and clean-fid ignore them: EXIF orientation, colour profiles, gamma. What is
measured are the stored pixels. Of the pictures in a phone's JPEG, the first is read.
*Refused*, because any number would hide a choice: transparency (over which background?), 16 bits per channel (rounded
how?), CMYK (by which profile?), animation (which frame?), damage, and more pixels than ``limits`` allows.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL.BmpImagePlugin import BmpImageFile
from PIL.Image import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from trilemma.data import limits
from trilemma.data.damage import reading
from trilemma.data.plain_png import decode_plain, plain_size
from trilemma.data.webp_header import webp_size
from trilemma.errors import UserError

CONVERTED_MODES = frozenset({"1", "L", "P", "RGB", "LA", "PA", "RGBA", "RGBX"})


def decode(data: bytes, where: str) -> NDArray[np.uint8]:
    """Returns the image as uint8 ``(H, W, 3)``, RGB; the array may be read-only.

    Raises:
        UserError: the bytes are no image, or one that is refused (see above); ``where`` names it.
    """
    plain = decode_plain(data) if _is_allowed(plain_size(data)) else None
    if plain is not None:
        return plain
    with reading("image", where):
        image = _checked(data, where)
        if isinstance(image, PngImageFile):
            image.verify()  # checksums to the last chunk, which decoding alone does not look at; it uses the file up
            image = PngImageFile(io.BytesIO(data))
        return _rgb(image, where)


def declared_size(data: bytes, where: str) -> tuple[int, int]:
    """Returns (H, W) as the header says it, after every check that needs no pixel.

    Raises:
        UserError: as in :func:`decode`, for all that the header tells.
    """
    plain = plain_size(data)
    if plain is not None and _is_allowed(plain):
        return plain
    with reading("image", where):
        width, height = _checked(data, where).size
        return height, width


def _is_allowed(size: tuple[int, int] | None) -> bool:
    return size is not None and 0 < size[0] * size[1] <= limits.MAX_PIXELS


def _checked(data: bytes, where: str) -> ImageFile:
    """The image with its header parsed and judged, and its pixels untouched."""
    kind = _format(data, where)
    if kind is WebPImageFile:
        limits.check_pixels(*webp_size(data), where)
    image = kind(io.BytesIO(data))
    limits.check_pixels(image.height, image.width, where)
    if reason := _refusal(image, data):
        raise UserError(reason, where=where, hint="Convert it to 8-bit RGB in the way that you mean, or remove it.")
    return image


def _format(data: bytes, where: str) -> type[ImageFile]:
    # The classes are called directly: PIL.Image.open tries forty formats, and warns on the way about large images.
    if data.startswith(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"):
        return PngImageFile
    if data.startswith(b"\xff\xd8\xff"):
        return JpegImageFile
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return WebPImageFile
    if data.startswith(b"BM"):
        return BmpImageFile
    found = "is empty" if not data else "is no PNG, JPEG, WebP or BMP, whatever its name says"
    raise UserError(f"this file {found}.", where=where, hint="Replace or remove it.")


def _refusal(image: ImageFile, data: bytes) -> str | None:
    if getattr(image, "n_frames", 1) > 1:
        return "this image is animated; a still one is needed."
    # Pillow rounds 16-bit colour to 8 bits without a word, so the depth is read where PNG keeps it.
    if isinstance(image, PngImageFile) and data[24] == 16:
        return "this image has 16 bits per channel; 8 are needed."
    if image.mode not in CONVERTED_MODES:
        return f"this image is {image.mode}; RGB is needed."
    return None


def _rgb(image: Image, where: str) -> NDArray[np.uint8]:
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if np.asarray(image.getchannel("A")).min() < 255:
            raise UserError(
                "this image is transparent in places.", where=where, hint="Lay it over the background that you mean."
            )
    return np.asarray(image.convert("RGB"))
