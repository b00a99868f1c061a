"""Reads series out of the store: every run that holds their models, in one statement."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trilemma.errors import UserError, suggest
from trilemma.metrics.catalog import METRICS, metric
from trilemma.store.database import Database
from trilemma.store.index import list_runs
from trilemma.store.sql import text
from trilemma.tracking.history import MACHINE, Observation, SeriesName, identity_of

# All of a run's columns: a statement that says "samples" would have that view made, of ten thousand files.
_SQL = """
SELECT r.*, w.model, w.metric, m.metric_version, m.extractor, m.params, m.value, m.se, m.ci_low, m.ci_high,
    m.status AS row_status, m.reason
FROM runs r
CROSS JOIN (VALUES {wanted}) w(model, metric)
LEFT JOIN metrics m ON m.run_id = r.run_id AND m.model = w.model AND m.metric = w.metric
WHERE list_contains(r.models, w.model)
    AND (m.metric IS NOT NULL OR r.run_id NOT IN (SELECT run_id FROM metrics))
ORDER BY r.run_id
"""
# A run that has not come to its numbers, or whose numbers cannot be read, has no row that says so.
_WITHOUT_NUMBERS = {"started": "unfinished", "complete": "damaged"}


def parse_series(names: Sequence[str], runs: Path) -> list[SeriesName]:
    """Returns the series that ``MODEL/METRIC`` names; raises UserError, with a suggestion, for what no run can have."""
    models = {model for row in list_runs(runs).rows for model in row["models"]}
    if not models:
        raise UserError(f"there are no runs in {runs}.", hint="Start one: trilemma run.")
    return list(dict.fromkeys(_parse(name, models) for name in names))


def _parse(name: str, models: set[str]) -> SeriesName:
    model, _, measured = name.rpartition("/")
    if not model:
        raise UserError(f'"{name}" names no series.', hint="Give MODEL/METRIC, such as gan/fd_scenes.")
    if model not in models:
        raise UserError(f'no run has a model "{model}".', where=name, hint=suggest(model, models))
    try:
        return SeriesName(model=model, metric=metric(measured).name)
    except UserError:
        raise UserError(f'there is no metric "{measured}".', where=name, hint=suggest(measured, METRICS)) from None


def read_series(runs: Path, names: Sequence[SeriesName]) -> tuple[dict[SeriesName, list[Observation]], list[UserError]]:
    """Returns what every run says of each series, oldest first, and the records that could not be read."""
    wanted = ", ".join(f"({text(name.model)}, {text(name.metric)})" for name in names)
    database = Database(runs, _SQL.format(wanted=wanted), skip_damaged=True)
    found: dict[SeriesName, list[Observation]] = {name: [] for name in names}
    for row in database.select().records():
        found[SeriesName(model=row["model"], metric=row["metric"])].append(_observation(row))
    return found, database.left_out


def _observation(row: Mapping[str, Any]) -> Observation:
    protocol = f"{row['protocol']}/{row['protocol_version']}"
    parsed = {**row, "params": json.loads(row["params"] or "{}")}
    return Observation(
        run_id=row["run_id"],
        created=None if row["created"] is None else row["created"].isoformat(timespec="seconds") + "Z",
        protocol=protocol,
        value=row["value"],
        se=row["se"],
        ci=_interval(row["ci_low"], row["ci_high"]),
        **_outcome(row),
        hardware=row["hardware"],
        machine={**{name: row.get(name) for name in MACHINE}, "machine": row["gpu"] or row["cpu"]},
        identity=identity_of(row["metric"], protocol, parsed) if row["metric_version"] is not None else {},
    )


def _outcome(row: Mapping[str, Any]) -> dict[str, Any]:
    if row["row_status"] is not None:
        return {"status": row["row_status"], "reason": row["reason"]}
    return {"status": _WITHOUT_NUMBERS.get(row["status"], row["status"]), "reason": row["error"]}


def _interval(low: float | None, high: float | None) -> tuple[float, float] | None:
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return None
    return low, high
