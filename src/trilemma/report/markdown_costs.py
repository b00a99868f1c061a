"""The parts of the Markdown that say what was timed, how cost grows, and what was not measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trilemma.card import marked
from trilemma.report import timed_calls
from trilemma.report.coverage import HEADER, coverage, only_times
from trilemma.report.gaps import Gaps, gaps
from trilemma.report.markdown_text import escape, grid
from trilemma.report.scaling import Part, batch_part, images_part, resolution_part

if TYPE_CHECKING:
    from trilemma.report.record import Run
    from trilemma.report.tables import Cell


def name(run: Run, model: str) -> str:
    """Returns a model's name as people see it: controls, and weights that were drawn, are told with it."""
    return f"{model} (control)" if run.is_control(model) else marked(model, run.card(model))


def timing_blocks(run: Run) -> list[str]:
    """Returns the timed calls window by window, and how cost grows."""
    found = timed_calls.windows(run, timed_calls.calls(run))
    rows = [(name(run, cells[0]), *cells[1:]) for cells in timed_calls.lines(found)]
    timed = [timed_calls.CAPTION, grid(timed_calls.HEADER, rows)] if rows else [escape(timed_calls.absence(run))]
    parts = (batch_part(run, found), images_part(run), resolution_part(run))
    return ["## Timed calls", *timed, "## Scaling", *(block for part in parts for block in _part(run, part))]


def coverage_blocks(run: Run) -> list[str]:
    """Returns what became of everything that was planned, and what was not measured."""
    found = coverage(run)
    whole = [(name(run, one.model), *one.whole.texts, one.state) for one in found]
    sets = [
        (name(run, one.model), set_name.replace("_", " "), *number.texts)
        for one in found
        for set_name, number in one.sets.items()
    ]
    unit = "Processes" if only_times(run) else "Images"
    by_set = ["### Set by set", grid(["Model", "Set", *HEADER], sets)] if sets else []
    blocks = [
        "## Coverage of the run",
        f"{unit} planned, and what became of them.",
        grid(["Model", *HEADER, "State"], whole),
    ]
    return [*blocks, *by_set, "### What was not measured", *_gaps(run, gaps(run))]


def _part(run: Run, part: Part) -> list[str]:
    rows = [(name(run, row[0]), *row[1:]) for row in part.rows]
    table = [escape(part.caption), grid(part.header, rows)] if rows else []
    return [f"### {part.title}", " ".join(map(escape, part.said)), *table]


def _gaps(run: Run, found: Gaps | None) -> list[str]:
    if found is None:
        return ["No number was computed of any model."]
    if not found.columns and not found.silent:
        return [f"Nothing: each of the {found.metrics} numbers of the run was measured for every model."]
    header = ["Model", *(escape(", ".join(titles)) for titles in found.columns)]
    rows = [[name(run, model), *map(_cell, cells)] for model, cells in found.rows]
    silent = "\n".join(
        f"- {escape(name(run, model))}: nothing at all, {escape(_cell(cell))}" for model, cell in found.silent
    )
    notes = "\n".join(f"{number}. {escape(note)}" for number, note in enumerate(found.notes, start=1))
    return [block for block in (grid(header, rows) if found.columns else "", silent, notes) if block]


def _cell(cell: Cell) -> str:
    return cell.text if cell.measured else f"{cell.text} [{cell.note}]"
