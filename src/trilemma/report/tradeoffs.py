"""What the script of the trade-offs works with: every measure's numbers, orders and frontiers, computed here alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trilemma.report.charts import order_chart, style, trade_off_chart
from trilemma.report.figures import PAIRS
from trilemma.report.measures import CORNERS, Measure
from trilemma.report.names import LONGEST_LABEL, brief
from trilemma.report.numbers import interval, quantity
from trilemma.report.orders import flips, ladder, non_dominated, order
from trilemma.report.prose import listed
from trilemma.report.tables import AXES

if TYPE_CHECKING:
    from trilemma.report.record import Run

_SHOWN_FLIPS = 3


def ranked(run: Run) -> list[str]:
    """Returns the models that are put in order: no controls, and none whose scores are withheld."""
    withheld = {row.model for row in run.rows if row.metric in AXES.values() and row.status == "withheld"}
    return [model for model in run.models if not run.is_control(model) and model not in withheld]


def payload(run: Run, found: dict[str, list[Measure]]) -> dict[str, Any]:
    """Returns all that the script needs, as JSON knows it; models stand in lists by their place among ``models``."""
    models = ranked(run)
    return {
        "models": [_model(run, model, models) for model in run.models],
        "measures": {axis: [_measure(run, found[axis], one, models) for one in found[axis]] for axis in CORNERS},
        "frontiers": {
            f"{one}-{other}": [[_places(run, non_dominated(a, b, models)) for b in found[other]] for a in found[one]]
            for one, other in PAIRS
        },
        "tradeOff": trade_off_chart(),
        "orders": {axis: _order_chart(found[axis], models) for axis in CORNERS if found[axis]},
    }


def _order_chart(found: list[Measure], models: list[str]) -> dict[str, Any]:
    flipped = [measure.label for measure in found if flips(found[0], measure, models)]
    named = [brief(model, LONGEST_LABEL) for model in models if any(model in measure.rows for measure in found)]
    return order_chart(named, [measure.label for measure in found], flipped)


def told(measure: Measure, reference: Measure, models: list[str]) -> str:
    """Returns a measure's order in words, and who changed places against the reference."""
    changed = _changed(flips(reference, measure, models))
    return f"{ladder(measure, models)}" + (f"; against the {_small(reference.label)}, {changed}" if changed else "")


def _changed(pairs: list[tuple[str, str]]) -> str:
    """Returns who passed whom, for a few of the models; "" where nobody did."""
    passed: dict[str, list[str]] = {}
    for ahead, behind in pairs:
        passed.setdefault(brief(ahead), []).append(brief(behind))
    parts = [f"{ahead} passes {listed(behind)}" for ahead, behind in passed.items()]
    more = [f"{len(parts) - _SHOWN_FLIPS} more pass others"] if len(parts) > _SHOWN_FLIPS else []
    return listed([*parts[:_SHOWN_FLIPS], *more]) if parts else ""


def _small(label: str) -> str:
    return label[:1].lower() + label[1:]


def _model(run: Run, model: str, models: list[str]) -> dict[str, Any]:
    reference = model not in models
    return {"name": model, "reference": reference, **style(run.place(model), reference=reference)}


def _measure(run: Run, found: list[Measure], measure: Measure, models: list[str]) -> dict[str, Any]:
    ordered = order(measure, models)
    return {
        "label": measure.label,
        "metric": measure.metric,
        "lower": measure.lower,
        "scale": {
            "type": measure.scale.type,
            "domain": measure.scale.domain,
            "constant": measure.scale.constant,
            "reverse": measure.lower,
        },
        "cells": [_cell(measure, model) for model in run.models],
        "places": [ordered.index(model) + 1 if model in ordered else None for model in run.models],
        "told": told(measure, found[0], models),
    }


def _cell(measure: Measure, model: str) -> dict[str, Any] | None:
    row = measure.rows.get(model)
    if row is None or row.value is None:
        return None
    first, last = measure.scale.domain
    # A bound outside the scale, such as one below 0 on a logarithmic one, is drawn at its edge.
    low, high = (min(max(bound, first), last) for bound in row.ci or (row.value, row.value))
    return {
        "value": row.value,
        "low": low,
        "high": high,
        "text": quantity(row.value, row.se, row.unit),
        "interval": interval(*row.ci, row.se, row.unit) if row.ci else "",
    }


def _places(run: Run, models: list[str]) -> list[int]:
    return [run.models.index(model) for model in models]
