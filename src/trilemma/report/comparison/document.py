"""The comparison of two runs as one JSON document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trilemma.report.comparison.outcome import counts, headline
from trilemma.report.verdicts import as_rows

if TYPE_CHECKING:
    from trilemma.report.comparison.changed_images import ModelImages
    from trilemma.report.comparison.contents import Contents
    from trilemma.report.record import Run

SCHEMA = "trilemma.comparison/1"
_OF_ROW = ("value", "se", "ci", "n", "status", "reason")
_OF_IMAGES = ("model", "pairs", "same", "changed", "slight", "only_a", "only_b", "why_not")


def document(told: Contents) -> dict[str, Any]:
    """Returns the runs, what their verdicts come to, every series with both its numbers, fields and images."""
    pair = told.pair
    return {
        "schema": SCHEMA,
        "a": _run(pair.a),
        "b": _run(pair.b),
        "headline": headline(pair),
        "counts": {"gated": counts(one for one in pair.series if one.gated), "all": counts(pair.series)},
        "series": [
            row | {"a": _number(pair.a, one.model, one.metric), "b": _number(pair.b, one.model, one.metric)}
            for row, one in zip(as_rows(pair.series), pair.series, strict=True)
        ],
        "images": list(map(_images, told.images)),
        "differing": [{"group": group.title, **vars(field)} for group in told.differing for field in group.fields],
    }


def _run(run: Run) -> dict[str, Any]:
    record = run.record
    return {"run_id": record.run_id, "created": record.created, "status": record.status, "models": run.models}


def _number(run: Run, model: str, metric: str) -> dict[str, Any] | None:
    row = run.find(model, metric)
    return None if row is None else {name: getattr(row, name) for name in _OF_ROW}


def _images(one: ModelImages) -> dict[str, Any]:
    return {name: getattr(one, name) for name in _OF_IMAGES} | {"shown": list(map(vars, one.shown))}
