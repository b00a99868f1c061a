"""The first screen: each model as a triangle with what it gives up, and the score table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trilemma.report import gives_up, tables
from trilemma.report.catalog import describe
from trilemma.report.charts import style
from trilemma.report.evidence import COVERAGES, QUALITY
from trilemma.report.measures import CORNERS
from trilemma.report.names import LONGEST_REASON, brief
from trilemma.report.tables import SCORE_TITLES
from trilemma.report.triangle import triangle

if TYPE_CHECKING:
    import pandas as pd

    from trilemma.report.gives_up import Verdict
    from trilemma.report.record import Run


ID = "scores"
TITLE = "Scores"
# The raw numbers that stand below each score: those of the first group of which the record holds any.
HEADLINES = {
    "quality": QUALITY,
    "diversity": (("mode_tv", "within_prompt_spread"), *COVERAGES),
    "speed": (("images_per_second",),),
    "speed_batch1": (("latency_batch1",),),
}


def content(run: Run) -> dict[str, Any] | None:
    """Returns a card per model and the table; None for a protocol that gives no scores.

    Of a sweep's many settings there is the table alone: its figure is that of its frontiers.
    """
    if not tables.is_scored(run):
        return None
    scores = tables.scores(run)
    rows = [_score_row(run, scores, model) for model in run.models]
    return {
        "cards": None if run.is_sweep else [_card(run, scores, verdict) for verdict in gives_up.verdicts(run, scores)],
        "axes": SCORE_TITLES,
        "metrics": tables.AXES,
        "contestants": [row for row in rows if not row["control"]],
        "references": [row for row in rows if row["control"]],
    }


def _card(run: Run, scores: pd.DataFrame, verdict: Verdict) -> dict[str, Any]:
    by_axis = {row["axis"]: row for row in scores[scores["model"] == verdict.model].to_dict("records")}
    measured = any(by_axis[axis]["status"] == "ok" for axis in CORNERS)
    return {
        "model": verdict.model,
        "title": run.title(verdict.model),
        "text": verdict.text[:1].upper() + verdict.text[1:],
        "color": style(run.place(verdict.model), reference=False)["color"],
        "picture": triangle(by_axis, verdict.lost) if measured else None,
    }


def _score_row(run: Run, scores: pd.DataFrame, model: str) -> dict[str, Any]:
    rows = {row["axis"]: row for row in scores[scores["model"] == model].to_dict("records")}
    before = [None, *(rows[axis]["reason"] for axis in SCORE_TITLES)]
    cells = [
        _score_cell(run, model, axis, rows[axis], said=rows[axis]["reason"] == reason)
        for axis, reason in zip(SCORE_TITLES, before, strict=False)
    ]
    return {"model": model, "control": run.is_control(model), "cells": cells}


def _score_cell(run: Run, model: str, axis: str, row: dict[Any, Any], *, said: bool) -> dict[str, Any]:
    """Returns one score as the table shows it; a reason that the cell before has ``said`` is not said again."""
    measured = row["status"] == "ok"
    return {
        "text": tables.score_text(row),
        "reason": "" if measured or said else brief(row["reason"], LONGEST_REASON),
        "bar": _bar(row) if measured else None,
        "raw": headlines(run, model, axis),
    }


def _bar(row: dict[Any, Any]) -> dict[str, float]:
    """Returns the score and its interval in hundredths of the bar's length, the interval cut at the bar's ends."""
    low, high = (min(max(bound, 0.0), 10.0) for bound in (row["ci_low"], row["ci_high"]))
    known = low == low and high == high
    return {"value": 10 * row["score"], "low": 10 * low if known else 0.0, "width": 10 * (high - low) if known else 0.0}


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
