"""A few images of each set as one picture, and what they are of."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trilemma.runner.plan import Planned, batches
from trilemma.store.arrays import read_arrays
from trilemma.store.atomic import write_arrays, write_bytes, write_json
from trilemma.store.layout import RunFolder
from trilemma.store.parts import part_path

COLUMNS = 8
ROWS = 8


def grid_entries(planned: Sequence[Planned]) -> list[Planned]:
    """Returns the entries that a set's grid shows, row by row: one row per prompt where prompts repeat."""
    if any(entry.index > 0 and entry.prompt for entry in planned):
        prompts = set(list(dict.fromkeys(entry.prompt_id for entry in planned))[:ROWS])
        return [entry for entry in planned if entry.prompt_id in prompts and entry.index < COLUMNS]
    return list(planned[: ROWS * COLUMNS])


def keep_for_grid(
    folder: RunFolder,
    model: str,
    number: int,
    chosen: Sequence[Planned],
    pixels_BHWC: NDArray[np.uint8],
    shown: frozenset[str],
) -> None:
    """Stores those images of a batch that the grid shows, until the model is done; ``shown`` holds their keys."""
    kept = {entry.key: pixels for entry, pixels in zip(chosen, pixels_BHWC, strict=True) if entry.key in shown}
    if kept:
        write_arrays(_kept_path(folder, model, chosen[0].set, number), kept)


def write_grids(folder: RunFolder, model: str, entries: Mapping[str, Sequence[Planned]], batch_size: int) -> None:
    """Writes ``SET.png`` and, with the keys and prompts in the same order, ``SET.json`` for every set."""
    for set_name, planned in entries.items():
        kept: dict[str, NDArray[Any]] = {}
        for number, _ in batches(planned, batch_size):
            path = _kept_path(folder, model, set_name, number)
            kept |= read_arrays(path) if path.is_file() else {}
        shown = grid_entries(planned)
        write_png(folder.images(model) / f"{set_name}.png", tile(np.stack([kept[entry.key] for entry in shown])))
        write_json(folder.images(model) / f"{set_name}.json", _captions(shown))


def tile(pixels_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns one picture ``(rows*H, columns*W, 3)`` of at most 8 columns; what is left of the last row is black."""
    count, height, width, channels = pixels_NHWC.shape
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    canvas = np.zeros((rows * columns, height, width, channels), np.uint8)
    canvas[:count] = pixels_NHWC
    table = canvas.reshape(rows, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(table.reshape(rows * height, columns * width, channels))


def write_png(path: Path, pixels_HWC: NDArray[np.uint8]) -> None:
    """Puts a picture at ``path``."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels_HWC).save(buffer, format="PNG", optimize=True)
    write_bytes(path, buffer.getvalue())


def _captions(shown: Sequence[Planned]) -> dict[str, Any]:
    return {
        "columns": min(COLUMNS, len(shown)),
        "keys": [entry.key for entry in shown],
        "prompts": [entry.prompt for entry in shown],
    }


def _kept_path(folder: RunFolder, model: str, set_name: str, number: int) -> Path:
    return part_path(folder, model, set_name, number).with_suffix(".grid.npz")
