"""``history``: a series over all stored runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trilemma.cli.options import Json, Out, Root, people, print_json, runs_folder
from trilemma.errors import UserError

if TYPE_CHECKING:
    from rich.table import Table

    from trilemma.store.baselines import Baseline
    from trilemma.tracking.history import History, Point

NEWEST = 30
"""Runs that the table shows unless told otherwise."""
STRIP = 24
KINDS = (".png", ".svg")


def history(
    series: Annotated[
        list[str], typer.Argument(metavar="SERIES...", help="MODEL/METRIC, such as gan/fd_scenes; several are drawn.")
    ],
    out_file: Annotated[
        Path | None,
        typer.Option("--out-file", metavar="FILE.png|.svg", help="Draw a figure.", show_default=False),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help=f"The newest N runs [table {NEWEST}, others all].", show_default=False),
    ] = None,
    out: Out = None,
    root: Root = None,
    json: Json = False,
) -> None:
    """Draws series over all stored runs, oldest first, with 95 % intervals.

    Marked are runs of baselines, changes of machine and of what must agree for numbers to be comparable, runs without a
    value, and steps. Steps are advisory: to judge a run, gate it against a baseline. A record that cannot be read is
    named and left out, and the exit code is 1.

    Example: trilemma history gan/fd_scenes gan/images_per_second --out-file history.svg
    """
    from trilemma.tracking.stored_series import parse_series, read_series

    if out_file is not None and out_file.suffix.lower() not in KINDS:
        raise UserError("a figure is PNG or SVG.", where=str(out_file), hint=f"End its name in {' or '.join(KINDS)}.")
    runs = runs_folder(root, out)
    names = parse_series(series, runs)
    seen, damaged = read_series(runs, names)
    found = _histories(seen, root)
    if json:
        print_json([_document(one.newest(limit)) for one in found])
    else:
        _tell(found, limit)
    if out_file is not None:
        _draw([one.newest(limit) for one in found], out_file.expanduser())
    for error in damaged:
        people().print(f"left out: {error}", markup=False, soft_wrap=True)
    if damaged:
        raise typer.Exit(1)


def _histories(seen: Mapping[Any, Any], root: Path | None) -> list[History]:
    from trilemma.store.baselines import baseline_names, find_baseline
    from trilemma.tracking.history import history as made
    from trilemma.workspace import find_workspace

    folder = find_workspace(root).baselines
    baselines = [find_baseline(name, folder) for name in baseline_names(folder)]
    found = [made(name, observations, _runs_of(name.model, baselines)) for name, observations in seen.items()]
    for one in found:
        if not one.points:
            raise UserError("no run has measured this.", where=str(one.name))
    return found


def _runs_of(model: str, baselines: Sequence[Baseline]) -> dict[str, list[str]]:
    """Returns by run the names of the baselines that hold it for this model."""
    found: dict[str, list[str]] = {}
    for one in baselines:
        for run_id in one.manifest.runs if model in one.models else ():
            found.setdefault(run_id, []).append(one.name)
    return found


def _draw(histories: Sequence[History], path: Path) -> None:
    from trilemma.report.drawing import png, svg
    from trilemma.report.history_figure import history_figure
    from trilemma.store.atomic import write_bytes

    figure = history_figure(histories)
    write_bytes(path, png(figure) if path.suffix.lower() == ".png" else svg(figure))
    people().print(f"Figure: {path}", soft_wrap=True, markup=False)


def _tell(histories: Sequence[History], limit: int | None) -> None:
    from trilemma.report.history_texts import ADVISORY

    console = people()
    for one in histories:
        console.print(_table(one.newest(limit or NEWEST), len(one.points)))
    if any(one.steps for one in histories):
        console.print(ADVISORY)


def _table(history: History, total: int) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from trilemma.report.history_texts import BETTER, marks, title

    hidden = total - len(history.points)
    caption = f"The {hidden:,} runs before these: --limit {total}." if hidden else None
    heading = Text("; ".join(filter(None, [title(history), BETTER[history.metric.direction]])))
    table = Table(title=heading, title_justify="left", caption=caption, caption_justify="left", box=SIMPLE_HEAD)
    for column in ("run", "date (UTC)", "value", "95 % interval", "marks"):
        table.add_column(column, overflow="fold", justify="right" if column == "value" else "left")
    span = _span(history.points)
    for place, point in enumerate(history.points):
        cells = (point.seen.run_id, _date(point), _value(point, history.metric.unit), _strip(point, span))
        table.add_row(*map(Text, (*cells, "; ".join(marks(history, place)))))
    return table


def _date(point: Point) -> str:
    return (point.seen.created or "")[:16].replace("T", " ")


def _value(point: Point, unit: str) -> str:
    from trilemma.cli.text_table import MISSING
    from trilemma.report.numbers import quantity

    return MISSING if point.seen.value is None else quantity(point.seen.value, point.seen.se, unit)


def _span(points: Sequence[Point]) -> tuple[float, float]:
    ends = [
        end for point in points if point.seen.value is not None for end in (point.seen.value, *(point.seen.ci or ()))
    ]
    return (min(ends), max(ends)) if ends else (0.0, 0.0)


def _strip(point: Point, span: tuple[float, float]) -> str:
    """Returns the value and its interval on a line of characters, on the same scale for the whole table."""
    if point.seen.value is None:
        return ""
    low, high = span
    scale = (STRIP - 1) / (high - low) if high > low else 0.0
    at, *ends = (round((value - low) * scale) for value in (point.seen.value, *(point.seen.ci or ())))
    start, stop = min(at, *ends), max(at, *ends)
    cells = ["─" if start <= cell <= stop else " " for cell in range(STRIP)]
    cells[at] = "●"
    return "".join(cells).rstrip()


def _document(history: History) -> dict[str, Any]:
    from trilemma.report.history_texts import ADVISORY

    steps = [
        {"run_id": history.points[step.at].seen.run_id, "before": step.before, "after": step.after}
        for step in history.steps
    ]
    points = [
        {**vars(point.seen), "line": point.line, "baselines": point.baselines, "changes": point.changes}
        for point in history.points
    ]
    about = {"series": str(history.name), "unit": history.metric.unit, "direction": history.metric.direction}
    return {**about, "points": points, "steps": steps, "note": ADVISORY}
