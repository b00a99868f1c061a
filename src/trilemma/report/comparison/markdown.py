"""The comparison of two runs as Markdown: the same tables, without pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trilemma.report.comparison.outcome import headline, stamps
from trilemma.report.comparison.page import statements, title
from trilemma.report.markdown import escape, grid
from trilemma.report.numbers import count

if TYPE_CHECKING:
    from trilemma.report.comparison.changed_images import ModelImages
    from trilemma.report.comparison.contents import Contents
    from trilemma.report.comparison.differing import Group
    from trilemma.report.comparison.verdicts import Line, ModelVerdicts
    from trilemma.report.tables import Cell

OF_LINE = ("Metric", "Verdict", "Difference", "Bounds at 99 %", "Margin", "A", "n of A", "B", "n of B", "Why")
OF_IMAGES = ("Model", "Pairs", "The same, byte by byte", "Differ", "By one grey level", "Only in A", "Only in B", "")


def markdown(told: Contents) -> str:
    """Returns the comparison; of images the numbers alone."""
    pair = told.pair
    blocks = [
        f"# {escape(title(pair))}",
        *(f"> **{escape(stamp.title)}** {escape(stamp.text)}" for stamp in stamps(pair)),
        escape(headline(pair)),
        *map(escape, statements(pair)),
        "## Verdicts",
        "Difference: B − A, ± one standard error. Verdicts in brackets are of series that the protocol does not gate.",
        *(block for one in told.verdicts for block in _verdicts(one)),
        "## The same seeds' images, before and after",
        grid(OF_IMAGES, map(_images, told.images)) if told.images else "The runs share no model.",
        "## What else differs",
        *([block for group in told.differing for block in _group(group)] or ["Nothing."]),
    ]
    return "\n\n".join(blocks) + "\n"


def _verdicts(one: ModelVerdicts) -> list[str]:
    where = f" (only in {one.only_in})" if one.only_in else ""
    errors = [f"Failed in {run}: {escape(error)}" for run, error in one.failures]
    return [f"### {escape(one.model)}{where}", *errors, *([grid(OF_LINE, map(_line, one.lines))] if one.lines else [])]


def _line(line: Line) -> list[str]:
    sides = [text for cell in (line.a, line.b) for text in (cell.text, _n(cell))]
    return [line.title, line.verdict, line.difference, line.bounds, line.margin, *sides, line.why]


def _n(cell: Cell) -> str:
    return "" if cell.n is None else count(cell.n)


def _images(one: ModelImages) -> list[str]:
    if one.pairs is None:
        return [one.model, *[""] * 6, one.why_not]
    slight = "not known" if one.slight is None else count(one.slight)
    numbers = [*map(count, (one.pairs, one.same, one.changed)), slight, *map(count, (one.only_a, one.only_b))]
    return [one.model, *numbers, one.why_not]


def _group(group: Group) -> list[str]:
    rows = [
        [f"{field.name} ({field.models})" if field.models else field.name, field.a, field.b] for field in group.fields
    ]
    return [f"### {group.title}", grid(("Field", "A", "B"), rows)]
