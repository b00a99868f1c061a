"""How much a source may ask for: what a file claims is checked before it is believed."""

from __future__ import annotations

from trilemma.errors import UserError

MAX_PIXELS = 2**26  # one image: 8,192 x 8,192
MAX_FILE_BYTES = 2**28  # one encoded image: MAX_PIXELS at four bytes each
MAX_UNPACKED_BYTES = 2**31  # a compressed tar, which is unpacked in memory
MAX_ROW_GROUP_BYTES = 2**30  # the images of one row group, which is read whole


def check_file_bytes(size: int, where: str) -> None:
    """Raises UserError where one encoded image claims more than :data:`MAX_FILE_BYTES`."""
    if size > MAX_FILE_BYTES:
        raise UserError(
            f"this file says that it is {size:,} bytes long; an image may have {MAX_FILE_BYTES:,}.",
            where=where,
            hint="Remove it, or store it smaller.",
        )


def check_pixels(height: int, width: int, where: str) -> None:
    """Raises UserError where one image claims no pixels, or more than :data:`MAX_PIXELS`."""
    if not 0 < height * width <= MAX_PIXELS:
        raise UserError(
            f"this image says that it is {width:,} x {height:,} pixels; 1 to {MAX_PIXELS:,} in all are read.",
            where=where,
            hint="Remove it, or store it smaller.",
        )


def check_row_group(size: int, where: str) -> None:
    """Raises UserError where the images of one row group of a Parquet file have more than :data:`MAX_ROW_GROUP_BYTES`.

    A row group is read whole.
    """
    if size > MAX_ROW_GROUP_BYTES:
        raise UserError(
            f"the images of this row group have {size:,} bytes; {MAX_ROW_GROUP_BYTES:,} are read at a time.",
            where=where,
            hint="Write the file again with smaller row groups.",
        )
