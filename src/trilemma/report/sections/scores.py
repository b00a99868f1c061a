"""The first screen: the trilemma, the score table, and what each model gives up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trilemma.report import prose, tables
from trilemma.report.catalog import describe
from trilemma.report.drawing import inline_svg
from trilemma.report.figures import trilemma_figure
from trilemma.report.tables import SCORE_TITLES

if TYPE_CHECKING:
    import pandas as pd
    from markupsafe import Markup

    from trilemma.report.record import Run


ID = "scores"
TITLE = "Scores"
# The raw numbers that stand below each score: those of the first group of which the record holds any.
HEADLINES = {
    "quality": (("fd_scenes",), ("fid",)),
    "diversity": (("mode_tv", "within_prompt_spread"), ("coverage_unconditional",)),
    "speed": (("images_per_second",),),
    "speed_batch1": (("latency_batch1",),),
}


def content(run: Run) -> dict[str, Any] | None:
    """Returns the figure, the table and the sentences; None for a protocol that gives no scores.

    Of a sweep's many settings there is the table alone: its figure is that of its frontiers.
    """
    if not tables.is_scored(run):
        return None
    scores = tables.scores(run)
    return {
        "trilemma": None if run.is_sweep else _trilemma(scores),
        "axes": SCORE_TITLES,
        "score_rows": [_score_row(run, scores, model) for model in run.models],
        "verdicts": prose.verdicts(scores),
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
