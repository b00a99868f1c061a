"""What was not measured: a compact table of models against the metrics that some of them lack, with the reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trilemma.report.catalog import describe, rank
from trilemma.report.tables import Cell, cell_of, keyed_rows, noted

if TYPE_CHECKING:
    from trilemma.report.record import Run

Key = tuple[str, str, str]
MEASURED = ("", "")


@dataclass(frozen=True, kw_only=True)
class Gaps:
    """What a run lacks.

    Attributes:
        columns: titles of the metrics of each column; what the same models lack for the same reasons shares one.
        rows: (model, a cell for each column). silent: (model, cell) of those that
            lack all for one reason.
        notes: ``notes[i]`` is the reason that the cells with note i + 1 share.
        metrics: how many there are in all.
    """

    columns: tuple[tuple[str, ...], ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    silent: tuple[tuple[str, Cell], ...]
    notes: tuple[str, ...]
    metrics: int


def gaps(run: Run) -> Gaps | None:
    """Returns what was not measured; None where no number was computed of any model."""
    keyed = keyed_rows(run.rows)
    if not keyed:
        return None
    cells = {
        key: {model: cell_of(run, model, keyed[key].get(model)) for model in run.models}
        for key in sorted(keyed, key=lambda key: rank(key[0]))
    }
    whole = {model: {_what(of_model[model]) for of_model in cells.values()} for model in run.models}
    speaking = [model for model, found in whole.items() if len(found) > 1 or found == {MEASURED}]
    columns: dict[tuple[tuple[str, str], ...], list[Key]] = {}
    for key, of_model in cells.items():
        if not all(of_model[model].measured for model in speaking):
            columns.setdefault(tuple(_what(of_model[model]) for model in speaking), []).append(key)
    notes: dict[str, int] = {}
    shown = [cells[keys[0]] for keys in columns.values()]
    return Gaps(
        columns=tuple(tuple(map(_title, keys)) for keys in columns.values()),
        rows=tuple((model, tuple(_noted(column[model], notes) for column in shown)) for model in speaking),
        silent=tuple(_silent(model, cells, notes) for model in run.models if model not in speaking),
        notes=tuple(notes),
        metrics=len(keyed),
    )


def _what(cell: Cell) -> tuple[str, str]:
    return MEASURED if cell.measured else (cell.text, cell.reason)


def _noted(cell: Cell, notes: dict[str, int]) -> Cell:
    return Cell(text="measured", measured=True) if cell.measured else noted(cell, notes)


def _silent(model: str, cells: dict[Key, dict[str, Cell]], notes: dict[str, int]) -> tuple[str, Cell]:
    """Returns the cell that all metrics of a model share."""
    return model, noted(next(iter(cells.values()))[model], notes)


def _title(key: Key) -> str:
    return f"{describe(key[0]).title} ({key[2]})" if key[2] else describe(key[0]).title
