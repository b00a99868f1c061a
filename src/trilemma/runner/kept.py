"""The images that a run keeps: which, and where they wait until their model is done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from trilemma.errors import UserError
from trilemma.runner.grids import grid_entries
from trilemma.runner.plan import Planned, batches
from trilemma.store.arrays import read_arrays
from trilemma.store.atomic import write_arrays
from trilemma.store.layout import RunFolder
from trilemma.store.parts import part_path
from trilemma.store.pictures import Pixels

Kept = Literal["all", "grids", "none"]
"""All images, with grids and filmstrips; the grids alone; none."""
KEPT: tuple[Kept, ...] = get_args(Kept)


def kept_of(name: str) -> Kept:
    """Returns one of :data:`KEPT`; raises UserError for another word."""
    for known in KEPT:
        if name == known:
            return known
    raise UserError(f'"{name}" is not possible here.', where="--images", hint=f"Known: {', '.join(KEPT)}.")


def kept_keys(kept: Kept, planned: Sequence[Planned]) -> frozenset[str]:
    """Returns the keys of those images of a set that are kept."""
    chosen = {"all": planned, "grids": grid_entries(planned), "none": ()}[kept]
    return frozenset(entry.key for entry in chosen)


def keep_pixels(
    folder: RunFolder,
    model: str,
    number: int,
    chosen: Sequence[Planned],
    pixels_BHWC: Pixels,
    kept: frozenset[str],
) -> None:
    """Stores those images of a batch whose keys are among ``kept``, until the model is done."""
    rows = [row for row, entry in enumerate(chosen) if entry.key in kept]
    if rows:
        arrays = {"rows": np.array(rows), "pixels": pixels_BHWC[rows]}
        write_arrays(_path(folder, model, chosen[0].set, number), arrays)


def kept_pixels(
    folder: RunFolder, model: str, planned: Sequence[Planned], batch_size: int
) -> Iterator[tuple[Planned, Pixels]]:
    """Yields the entries of a set that were kept, in the order of the plan, with their images."""
    for number, chosen in batches(planned, batch_size):
        path = _path(folder, model, chosen[0].set, number)
        if path.is_file():
            stored = read_arrays(path)
            for row, pixels in zip(stored["rows"].tolist(), stored["pixels"], strict=True):
                yield chosen[row], pixels


def _path(folder: RunFolder, model: str, set_name: str, number: int) -> Path:
    return part_path(folder, model, set_name, number).with_suffix(".pixels.npz")
