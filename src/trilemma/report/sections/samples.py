"""Samples: the same prompts side by side, and every stored grid."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trilemma.report.coverage import only_times
from trilemma.report.grids import Grid, read_grids
from trilemma.store.sheets import INDEX

if TYPE_CHECKING:
    from trilemma.report.record import Run


ID = "samples"
TITLE = "Samples"
SHEET_COLUMNS = 8


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A grid on the page, under the id by which its tiles refer to it."""

    id: str
    grid: Grid


def content(run: Run) -> dict[str, Any] | None:
    """Returns the grids of the run, and those that cannot be read.

    None where the gallery shows all images, and where none was to be drawn.
    """
    if only_times(run) or any((run.folder.sheets(model) / INDEX).is_file() for model in run.models):
        return None
    found = list(read_grids(run.folder.path / "images"))
    grids = [grid for grid in found if isinstance(grid, Grid) and grid.model in run.models]
    pictures = [Picture(id=f"grid-{number}", grid=grid) for number, grid in enumerate(grids)]
    return {
        "pictures": pictures,
        "sheets": _sheets(run, pictures),
        "samples": [(model, [p for p in pictures if p.grid.model == model]) for model in run.models],
        "unread": [entry for entry in found if not isinstance(entry, Grid)],
    }


def _sheets(run: Run, pictures: list[Picture]) -> list[dict[str, Any]]:
    """Returns the sets whose prompts differ from tile to tile: the same prompts, one line of tiles per model."""
    sheets = []
    for name, same in itertools.groupby(sorted(pictures, key=lambda p: p.grid.set), key=lambda p: p.grid.set):
        shown = sorted(same, key=lambda p: run.models.index(p.grid.model))
        captions = [tile.caption for tile in shown[0].grid.tiles[:SHEET_COLUMNS]]
        alike = [p for p in shown if [tile.caption for tile in p.grid.tiles[:SHEET_COLUMNS]] == captions]
        if len(alike) > 1 and len(set(captions)) == len(captions):
            sheets.append({"set": name, "captions": captions, "pictures": alike})
    return sheets
