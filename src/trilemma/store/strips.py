"""Filmstrips: how a model makes a picture, ``images/MODEL/strips/strips.png`` and ``strips.json`` beside it.

The picture has one strip per row, and one square frame after the other. The sidecar is written last.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trilemma.data.decoding import decode
from trilemma.errors import UserError
from trilemma.store.atomic import write_bytes, write_json
from trilemma.store.pictures import Pixels, png
from trilemma.strict_toml import build, dump

PICTURE, SIDECAR = "strips.png", "strips.json"
Kind = Literal["sampling", "noising"]
Space = Literal["latents", "pixels"]


@dataclass(frozen=True, kw_only=True)
class Strip:
    """One row of the picture.

    Attributes:
        kind: the model's way to an image, or the way of an image to noise.
        frames: which of the images on that way are kept, by number, from 1.
        length: how many there were.
        evaluations: network evaluations of the whole way; None where no network took part.
        wall_ms: of the one call that gave the images, on the host at the end; None where no model was called.
        space: what the noise was added to; None for sampling.
    """

    kind: Kind
    key: str
    prompt: str
    seed: int
    frames: tuple[int, ...]
    length: int
    evaluations: int | None = None
    wall_ms: float | None = None
    space: Space | None = None

    def __post_init__(self) -> None:
        if not self.frames or not all(1 <= number <= self.length for number in self.frames):
            raise UserError("a strip's frames must be among its images.")


@dataclass(frozen=True, kw_only=True)
class Strips:
    """The contents of ``strips.json``.

    Attributes:
        frame: side of a frame in pixels.
        problems: why strips that were to be are not there.
    """

    frame: int
    strips: tuple[Strip, ...] = ()
    problems: tuple[str, ...] = ()


def write_strips(folder: Path, about: Strips, frames: Sequence[Pixels]) -> None:
    """Writes strips.

    Args:
        frames: for each strip of ``about`` its frames, uint8 ``(len(strip.frames), frame, frame, 3)``.
    """
    if about.strips:
        longest = max(len(pixels) for pixels in frames)
        rows = [np.concatenate([*_padded(pixels, longest)], axis=1) for pixels in frames]
        write_bytes(folder / PICTURE, png(np.concatenate(rows)))
    write_json(folder / SIDECAR, dump(about))


def read_strips(folder: Path) -> tuple[Strips, list[Pixels]] | None:
    """Returns the strips in a folder and the frames of each; None where a run kept none.

    Raises:
        UserError: they are damaged, or the picture does not fit its sidecar.
    """
    path = folder / SIDECAR
    if not path.is_file():
        return None
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(stored, dict):
            raise ValueError("it is no table")
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"this part of the record is damaged: {error}.", where=str(path)) from None
    about = build(Strips, stored, where=str(path))
    return about, _frames(folder / PICTURE, about) if about.strips else []


def _padded(pixels_FHWC: Pixels, length: int) -> NDArray[np.uint8]:
    return np.pad(pixels_FHWC, ((0, length - len(pixels_FHWC)), (0, 0), (0, 0), (0, 0)))


def _frames(path: Path, about: Strips) -> list[Pixels]:
    if not path.is_file():
        raise UserError("this part of the record is missing.", where=str(path))
    picture, side = decode(path.read_bytes(), str(path)), about.frame
    longest = max(len(strip.frames) for strip in about.strips)
    if picture.shape[:2] != (len(about.strips) * side, longest * side):
        raise UserError("this picture is not of the size that its sidecar tells.", where=str(path))
    table = picture.reshape(len(about.strips), side, longest, side, 3).transpose(0, 2, 1, 3, 4)
    return [row[: len(strip.frames)] for strip, row in zip(about.strips, table, strict=True)]
