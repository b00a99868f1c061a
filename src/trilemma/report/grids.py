"""Sample grids: ``images/MODEL/SET.png``, and beside it ``SET.json`` with what each tile shows.

The sidecar is ``{"columns": 8, "prompts": ["a red star on ...", ...]}``: row by row from the upper left, "" where there
was no prompt. Tiles are square and touch each other.
"""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# A sample grid is a few hundred pixels wide; a header that claims more is not decoded.
MAX_PIXELS = 16_000_000


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One image of a grid: its place in pixels, as left, top, width, height."""

    box: tuple[int, int, int, int]
    caption: str


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The images of one model for one set.

    Attributes:
        png: the whole picture.
        size: its width and height in pixels.
    """

    model: str
    set: str
    png: bytes
    size: tuple[int, int]
    tiles: tuple[Tile, ...]

    @property
    def data_uri(self) -> str:
        """The picture as a ``data:`` address."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")

    def groups(self) -> list[tuple[str, tuple[Tile, ...]]]:
        """Returns neighbouring tiles that share a caption, with it."""
        grouped = itertools.groupby(self.tiles, key=lambda tile: tile.caption)
        return [(caption, tuple(tiles)) for caption, tiles in grouped]


def read_grids(images: Path) -> Iterator[Grid | tuple[str, str, str]]:
    """Yields every grid below a run's ``images/``, by model and set; (model, set, why) for one that cannot be read."""
    for path in sorted(images.glob("*/*.png")):
        try:
            yield read_grid(path)
        except (OSError, ValueError) as error:
            yield path.parent.name, path.stem, str(error)


def read_grid(path: Path) -> Grid:
    """Returns a grid with its captions.

    Raises:
        OSError: a file is missing or is no picture.
        ValueError: the sidecar is damaged, or does not fit the picture.
    """
    size = _size(path)
    captions, columns = _sidecar(path.with_suffix(".json"))
    tiles = tuple(_tiles(size, captions, columns))
    return Grid(model=path.parent.name, set=path.stem, png=path.read_bytes(), size=size, tiles=tiles)


def _sidecar(path: Path) -> tuple[list[str], int]:
    stored = json.loads(path.read_text(encoding="utf-8"))
    prompts, columns = (stored.get("prompts"), stored.get("columns")) if isinstance(stored, dict) else (None, None)
    if not isinstance(prompts, list) or not prompts or not isinstance(columns, int) or columns < 1:
        raise ValueError(f"{path.name} lists no prompts, or not in how many columns")
    return [str(prompt or "") for prompt in prompts], columns


def _size(path: Path) -> tuple[int, int]:
    from PIL import Image

    with Image.open(path, formats=("PNG",)) as picture:
        width, height = picture.size
    if width * height > MAX_PIXELS:
        raise ValueError(f"{path.name} has {width} x {height} pixels, more than a grid may have")
    return width, height


def _tiles(size: tuple[int, int], captions: list[str], columns: int) -> Iterator[Tile]:
    width, height = size
    side = width // columns
    if side == 0 or -(-len(captions) // columns) * side > height:
        raise ValueError(f"{len(captions)} tiles in {columns} columns do not fit into {width} x {height} pixels")
    for number, caption in enumerate(captions):
        row, column = divmod(number, columns)
        yield Tile(box=(column * side, row * side, side, side), caption=caption)
