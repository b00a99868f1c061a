"""The page: one HTML file that holds everything it shows, runs no script and reaches no network."""

from __future__ import annotations

import base64
import hashlib
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trilemma.report import facts, prose, tables
from trilemma.report.catalog import describe
from trilemma.report.drawing import inline_svg
from trilemma.report.figures import sweep_figure, trilemma_figure
from trilemma.report.grids import Grid, read_grids
from trilemma.report.numbers import count, with_error
from trilemma.report.tables import SCORE_TITLES

if TYPE_CHECKING:
    import pandas as pd
    from markupsafe import Markup

    from trilemma.report.record import Run

_HERE = Path(__file__).parent
SHEET_COLUMNS = 8
# The raw numbers that stand below each score: those of the first group of which the record holds any.
HEADLINES = {
    "quality": (("fd_scenes",), ("fid",)),
    "diversity": (("mode_tv", "within_prompt_spread"), ("coverage_unconditional",)),
    "speed": (("images_per_second",),),
    "speed_batch1": (("latency_batch1",),),
}


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A grid on the page, under the id by which its tiles refer to it."""

    id: str
    grid: Grid


def html(run: Run) -> str:
    """Returns the whole page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["count"] = lambda number: "unknown" if number is None else count(number)
    style = (_HERE / "style.css").read_text(encoding="utf-8")
    return environment.get_template("page.html.jinja").render(
        style=Markup(style),  # our own file, and the policy's digest is taken over exactly this text
        policy=_policy(style),
        **_content(run),
    )


def _policy(style: str) -> str:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    return f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def _content(run: Run) -> dict[str, Any]:
    scores, sweep = tables.scores(run), tables.sweep(run)
    found = list(read_grids(run.folder.path / "images"))
    grids = [grid for grid in found if isinstance(grid, Grid) and grid.model in run.models]
    pictures = [Picture(id=f"grid-{number}", grid=grid) for number, grid in enumerate(grids)]
    return {
        "title": prose.protocol_title(run),
        "run_id": run.record.run_id,
        "statement": prose.statement(run),
        "stamps": prose.stamps(run),
        "trilemma": _trilemma(scores) if tables.is_scored(run) else None,
        "axes": SCORE_TITLES,
        "score_rows": [_score_row(run, scores, model) for model in run.models],
        "raw": tables.raw_table(run),
        "controls": [model for model in run.models if run.is_control(model)],
        "verdicts": prose.verdicts(scores),
        "pictures": pictures,
        "sheets": _sheets(run, pictures),
        "samples": [(model, [p for p in pictures if p.grid.model == model]) for model in run.models],
        "unread": [entry for entry in found if not isinstance(entry, Grid)],
        "cards": [facts.model_card(run, model) for model in run.models],
        "sweep": _sweep(sweep),
        "sweep_table": _sweep_table(sweep),
        "coverage": tables.coverage(run),
        "failures": tables.failures(run),
        "omissions": tables.omissions(run),
        "identity": facts.identity(run),
        "environment": facts.environment(run),
    }


def _trilemma(scores: pd.DataFrame) -> Markup:
    from markupsafe import Markup

    lines = [
        f"{model}: "
        + ", ".join(f"{row['axis'].replace('_', ' ')} {tables.score_text(row)}" for row in rows.to_dict("records"))
        for model, rows in scores.groupby("model", sort=False)
    ]
    description = "Scores from 0 to 10 of every model. " + "; ".join(lines) + "."
    return Markup(inline_svg(trilemma_figure(scores), "trilemma", description))  # ElementTree escaped it


def _sweep(sweep: pd.DataFrame) -> Markup | None:
    from markupsafe import Markup

    if sweep.empty:
        return None
    description = "Images per second against batch size, one line per model; the numbers stand in the table below."
    return Markup(inline_svg(sweep_figure(sweep), "sweep", description))  # ElementTree escaped it


def _score_row(run: Run, scores: pd.DataFrame, model: str) -> dict[str, Any]:
    rows = {row["axis"]: row for row in scores[scores["model"] == model].to_dict("records")}
    return {
        "model": model,
        "title": run.title(model),
        "control": run.is_control(model),
        "cells": [_score_cell(run, model, axis, rows[axis]) for axis in SCORE_TITLES],
    }


def _score_cell(run: Run, model: str, axis: str, row: dict[Any, Any]) -> dict[str, Any]:
    measured = row["status"] == "ok"
    return {
        "text": tables.score_text(row),
        "reason": "" if measured else row["reason"],
        "bar": f"{10 * row['score']:.1f}" if measured else None,
        "raw": headlines(run, model, axis),
    }


def headlines(run: Run, model: str, axis: str) -> list[str]:
    """Returns the raw numbers behind a score, with their unit or else their name; none that was not measured."""
    for group in HEADLINES[axis]:
        rows = [row for metric in group if (row := run.find(model, metric)) is not None and row.value is not None]
        if rows:
            return [_headline(tables.cell_of(run, model, row).text, row.metric, row.unit) for row in rows]
    return []


def _headline(text: str, metric: str, unit: str) -> str:
    unbroken = text.replace(" ", "\N{NO-BREAK SPACE}")
    return f"{unbroken} {unit}" if unit else f"{describe(metric).title} {unbroken}"


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


def _sweep_table(sweep: pd.DataFrame) -> dict[str, Any]:
    if sweep.empty:
        return {"sizes": [], "rows": []}
    medians = tables.sweep_medians(sweep)
    rows = [
        (str(model), [tables.NOT_MEASURED if value != value else with_error(value) for value in values])
        for model, values in zip(medians.index, medians.to_numpy(), strict=True)
    ]
    return {"sizes": [count(int(size)) for size in medians.columns], "rows": rows}
