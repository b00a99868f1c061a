"""All images of a model, lossless: ``images/MODEL/sheets/SET-000.png`` and so on, in the order of the sample rows.

A sheet is a picture of square tiles, row by row from the upper left. ``index.json`` beside the sheets says how large a
tile is, how many there are in a row, and how many images each set has; it is written last, so that where it is, the
sheets are. Image i of a set is tile i % tiles of its sheet i // tiles.
"""

from __future__ import annotations

import itertools
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from trilemma.card import check_name
from trilemma.data.decoding import decode
from trilemma.errors import UserError
from trilemma.store.atomic import write_bytes, write_json
from trilemma.store.pictures import Pixels, png, tile
from trilemma.strict_toml import build, dump

INDEX = "index.json"
MOST_COLUMNS = 16
_AT_ONCE = min(8, os.cpu_count() or 1)
SHEET_BYTES = 2 * 2**20
"""What a sheet's pixels may have: noise hardly compresses, so the file is no larger. One tile may have more."""


@dataclass(frozen=True, kw_only=True)
class SheetIndex:
    """The contents of ``index.json``.

    Attributes:
        tile: side of a tile in pixels.
        columns: tiles in a row, and rows on a full sheet.
        sets: how many images each set has.
    """

    tile: int
    columns: int
    sets: dict[str, int]

    def __post_init__(self) -> None:
        for name in self.sets:
            check_name(name)
        if self.tile < 1 or not 1 <= self.columns <= MOST_COLUMNS or min(self.sets.values(), default=0) < 0:
            raise UserError("no sheets can be of these sizes.")

    @property
    def tiles(self) -> int:
        """How many tiles a full sheet has."""
        return self.columns**2

    def files(self, set_name: str) -> list[str]:
        """Returns the names of a set's sheets, in order."""
        return [sheet_name(set_name, number) for number in range(-(-self.sets[set_name] // self.tiles))]


def sheet_name(set_name: str, number: int) -> str:
    """Returns the name of a sheet's file."""
    return f"{set_name}-{number:03d}.png"


def columns_for(side: int) -> int:
    """Returns how many tiles of this side in pixels a row holds: 16, or as many as keep a sheet within its bytes."""
    return max(1, min(MOST_COLUMNS, math.isqrt(SHEET_BYTES // 3) // side))


def sheets_of(images: Iterable[Pixels], columns: int) -> Iterator[bytes]:
    """Yields the PNG files of images of one size, each ``columns`` times ``columns`` tiles but the last."""
    rest = iter(images)
    # Compression lets go of the interpreter; a few at a time, or all images would be held at once.
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        while chosen := [of_one for _ in range(_AT_ONCE) if (of_one := list(itertools.islice(rest, columns**2)))]:
            yield from pool.map(lambda of_one: png(tile(np.stack(of_one), columns)), chosen)


def write_sheets(folder: Path, side: int, sets: Mapping[str, tuple[int, Iterable[Pixels]]]) -> None:
    """Writes the sheets of a model.

    Args:
        side: of the images in pixels.
        sets: by name, how many images there are and the images themselves, uint8 ``(side, side, 3)``.
    """
    index = SheetIndex(tile=side, columns=columns_for(side), sets={name: count for name, (count, _) in sets.items()})
    for name, (_, images) in sets.items():
        for number, content in enumerate(sheets_of(images, index.columns)):
            write_bytes(folder / sheet_name(name, number), content)
    write_json(folder / INDEX, dump(index))


class Sheets:
    """The stored images of one model; a sheet is read when it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index = _read_index(folder / INDEX)
        self._sheet = lru_cache(maxsize=2)(self._read)

    def images(self, set_name: str, rows: Sequence[int]) -> Pixels:
        """Returns images of a set, uint8 ``(len(rows), tile, tile, 3)``.

        Raises:
            UserError: a sheet is missing, damaged, or not of the size that the index tells.
        """
        side = self.index.tile
        chosen = np.empty((len(rows), side, side, 3), np.uint8)
        for place, row in enumerate(rows):
            number, within = divmod(row, self.index.tiles)
            y, x = (side * step for step in divmod(within, self.index.columns))
            chosen[place] = self._sheet(set_name, number)[y : y + side, x : x + side]
        return chosen

    def _read(self, set_name: str, number: int) -> Pixels:
        path, index = self.folder / sheet_name(set_name, number), self.index
        if not path.is_file():
            raise UserError("this part of the record is missing.", where=str(path))
        count = min(index.tiles, index.sets[set_name] - number * index.tiles)
        pixels = decode(path.read_bytes(), str(path))
        wanted = (-(-count // index.columns) * index.tile, min(count, index.columns) * index.tile)
        if pixels.shape[:2] != wanted:
            raise UserError("this sheet is not of the size that its index tells.", where=str(path))
        return pixels


def find_sheets(folder: Path) -> Sheets | None:
    """Returns the sheets in a folder, None where a run kept none; raises UserError where their index is damaged."""
    return Sheets(folder) if (folder / INDEX).is_file() else None


def _read_index(path: Path) -> SheetIndex:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(stored, dict):
            raise ValueError("it is no table")
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"this part of the record is damaged: {error}.", where=str(path)) from None
    return build(SheetIndex, stored, where=str(path))
