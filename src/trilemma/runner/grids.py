"""A few images of each set as one picture, and what they are of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from trilemma.runner.plan import Planned
from trilemma.store.atomic import write_bytes, write_json
from trilemma.store.pictures import Pixels, png, tile

COLUMNS = 8
ROWS = 8


def grid_entries(planned: Sequence[Planned]) -> list[Planned]:
    """Returns the entries that a set's grid shows, row by row: one row per prompt where a prompt follows itself."""
    if any(one.prompt and one.prompt_id == other.prompt_id for one, other in pairwise(planned)):
        prompts = set(list(dict.fromkeys(entry.prompt_id for entry in planned))[:ROWS])
        return [entry for entry in planned if entry.prompt_id in prompts and entry.index < COLUMNS]
    return list(planned[: ROWS * COLUMNS])


def write_grid(folder: Path, planned: Sequence[Planned], images: Iterable[tuple[Planned, Pixels]]) -> None:
    """Writes ``SET.png`` and, with the keys and prompts in the same order, ``SET.json``.

    Args:
        images: entries of the set in the order of the plan, those of the grid among them.
    """
    shown = grid_entries(planned)
    rest = iter(images)  # read no further than the grid reaches
    pixels = [next(pixels for entry, pixels in rest if entry.key == wanted.key) for wanted in shown]
    write_bytes(folder / f"{shown[0].set}.png", png(tile(np.stack(pixels), COLUMNS)))
    write_json(folder / f"{shown[0].set}.json", _captions(shown))


def _captions(shown: Sequence[Planned]) -> dict[str, Any]:
    return {
        "columns": min(COLUMNS, len(shown)),
        "keys": [entry.key for entry in shown],
        "prompts": [entry.prompt for entry in shown],
    }
