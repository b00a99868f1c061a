"""The trade-offs pair by pair, under any measure of each axis, and how the order of models depends on the measure."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from trilemma.report import tables
from trilemma.report.drawing import inline_svg
from trilemma.report.figures import PAIRS, trilemma_figure
from trilemma.report.inline import as_json
from trilemma.report.measures import CORNERS, Measure, measures
from trilemma.report.numbers import interval, quantity
from trilemma.report.order_figure import order_figure
from trilemma.report.orders import non_dominated
from trilemma.report.tradeoffs import payload, ranked, told

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure

    from trilemma.report.record import Run


ID = "tradeoffs"
TITLE = "Trade-offs"
SCRIPTS = ("vega", "charts.js", "tradeoffs.js")
# From so many models on, each chart of orders has the page's whole width.
CROWD = 10


def content(run: Run) -> dict[str, Any] | None:
    """Returns the charts' data, what stands for them without a script, and the tables.

    None where nothing is scored, and for a sweep, whose settings are drawn as frontiers.
    """
    found = measures(run)
    if run.is_sweep or not tables.is_scored(run) or not any(found.values()):
        return None
    models = ranked(run)
    present = [axis for axis in CORNERS if found[axis]]
    return {
        "data": as_json(payload(run, found)),
        "axes": present,
        "absent": [axis for axis in CORNERS if not found[axis]],
        "pairs": [pair for pair in PAIRS if set(pair) <= set(present)],
        "options": {axis: _options(found[axis]) for axis in present},
        "shown": {axis: found[axis][0] for axis in present},
        "rows": [_row(run, model, found, models) for model in run.models],
        "crowded": len(models) > CROWD,
        "ordered": len(models) > 1,
        "single": len(models) == 1,
        "orders": {axis: _orders(found[axis], models) for axis in present},
        "scores_still": _still(
            trilemma_figure(tables.scores(run)), "tradeoffs", "Scores of every model, pair by pair."
        ),
        "orders_still": _orders_still(run, found, models),
    }


def _options(found: list[Measure]) -> list[tuple[str, list[tuple[int, str]]]]:
    """Returns the measures of an axis with their places, grouped by what read the images."""
    numbered = list(enumerate(found))
    groups = itertools.groupby(numbered, key=lambda entry: entry[1].group)
    return [(group, [(place, measure.label) for place, measure in entries]) for group, entries in groups]


def _row(run: Run, model: str, found: dict[str, list[Measure]], models: list[str]) -> dict[str, Any]:
    first = {axis: found[axis][0] for axis in CORNERS if found[axis]}
    beaten_nowhere = [
        f"{one}–{other}"
        for one, other in PAIRS
        if one in first and other in first and model in non_dominated(first[one], first[other], models)
    ]
    return {
        "model": model,
        "cells": [_cell(measure, model) for measure in first.values()],
        "frontiers": ", ".join(beaten_nowhere) if model in models else "",
    }


def _cell(measure: Measure, model: str) -> tuple[str, str]:
    """Returns a number and its interval as text; a word and "" where there is none."""
    row = measure.rows.get(model)
    if row is None or row.value is None:
        return tables.NOT_MEASURED, ""
    return quantity(row.value, row.se, row.unit), interval(*row.ci, row.se, row.unit) if row.ci else ""


def _orders(found: list[Measure], models: list[str]) -> list[tuple[Measure, str]]:
    """Returns every measure with the order in words."""
    return [(measure, told(measure, found[0], models)) for measure in found]


def _orders_still(run: Run, found: dict[str, list[Measure]], models: list[str]) -> Markup | None:
    if len(models) < 2:
        return None
    return _still(order_figure(run, found, models), "orders", "Order of the models under each measure.")


def _still(figure: Figure, name: str, description: str) -> Markup:
    from markupsafe import Markup

    text = f"{description} The numbers stand in the tables behind the figures."
    return Markup(inline_svg(figure, name, text))  # ElementTree escaped it
