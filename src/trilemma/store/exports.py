"""A run in the forms that other tools read: tables, pytest-benchmark's JSON, and that of github-action-benchmark."""

from __future__ import annotations

import csv
import io
import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trilemma.stages import STAGES
from trilemma.store.database import Database
from trilemma.store.metric_rows import MetricRow
from trilemma.store.run import Run
from trilemma.store.sql import quoted
from trilemma.store.tables import METRICS, RUNS, Columns

if TYPE_CHECKING:
    import pandas as pd

Document = dict[str, Any]
# A number with what one needs to know of its run.
_OF_RUN = ("run_id", "created", "protocol", "protocol_version", "partial", "git", "hardware")
TIDY: Columns = {**{name: RUNS[name] for name in _OF_RUN}, **METRICS}
# pytest-benchmark's own version whose format this is; its `compare` fills what older files lack.
FORMAT = "5.1.0"
UNTIMED = ("warmup",)


def tidy(paths: Sequence[Path]) -> list[tuple[Any, ...]]:
    """Returns the numbers of runs, one row each with the columns TIDY, by run, model and metric.

    Raises:
        UserError: one of the runs is damaged; of others in the same folders it says nothing.
    """
    names = defaultdict(set)
    for path in paths:
        names[path.parent].add(path.name)
    columns = ", ".join(f"{'runs' if name in _OF_RUN else 'metrics'}.{quoted([name])}" for name in TIDY)
    sql = f'SELECT {columns} FROM metrics JOIN runs USING (run_id) ORDER BY run_id, model, metric, "set"'
    return [row for runs, only in names.items() for row in Database(runs, sql, only=only).select().rows]


def as_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Returns rows as CSV: nothing where there is no value, times as ISO 8601, lists and tables as JSON."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_csv_cell(value) for value in row] for row in rows)
    return buffer.getvalue()


def _csv_cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return json.dumps(value, default=str) if isinstance(value, (list, dict)) else value


def pytest_benchmark(run: Run) -> Document:
    """Returns a run's timings as ``pytest-benchmark compare`` reads them: one entry for each model, scenario and size.

    The form is that of pytest-benchmark's ``--benchmark-json``; times are seconds of whole calls.
    """
    record = run.record
    benchmarks = []
    for model in run.models:
        if run.folder.timings(model).is_file():
            timings = run.timings(model)
            whole = ~timings["scenario"].isin(UNTIMED) & ~timings["stage"].isin(STAGES)
            timed = timings[(timings["status"] == "ok") & whole]
            for _, calls in timed.groupby(["scenario", "batch_size"], sort=False):
                benchmarks.append(_benchmark(model, calls))
    return {
        "machine_info": {
            "processor": record.host.get("cpu"),
            "machine": record.host.get("machine"),
            "system": record.host.get("system"),
            "python_version": record.env.get("python"),
            "cpu": {"brand_raw": record.host.get("cpu"), "count": record.host.get("cores")},
        },
        "commit_info": {
            "id": record.tool.get("git"),
            "dirty": record.tool.get("dirty"),
            "time": record.created,
            "project": "trilemma",
        },
        "benchmarks": benchmarks,
        "datetime": record.created,
        "version": FORMAT,
    }


def _benchmark(model: str, calls: pd.DataFrame) -> Document:
    scenario, size = str(calls["scenario"].iloc[0]), int(calls["batch_size"].iloc[0])
    name = f"{scenario}[{model}-{size}]"
    return {
        "group": f"{scenario}, batch {size}" if size else scenario,
        "name": name,
        "fullname": name,
        "params": {"model": model, "batch_size": size},
        "param": f"{model}-{size}",
        "extra_info": {"images_per_call": int(calls["n_images"].iloc[0])},
        "options": {},
        "stats": _stats([wall / 1e9 for wall in calls["wall_ns"].astype(int)]),
    }


def _stats(seconds: list[float]) -> Document:
    ordered, mean = sorted(seconds), statistics.fmean(seconds)
    deviation = statistics.stdev(seconds) if len(seconds) > 1 else 0.0
    q1, median, q3 = statistics.quantiles(ordered, n=4, method="inclusive") if len(ordered) > 1 else ordered * 3
    low, high = q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1)
    inside = [value for value in ordered if low <= value <= high]
    beyond = sum(abs(value - mean) > deviation for value in ordered)
    outliers = len(ordered) - len(inside)
    return {
        "min": ordered[0],
        "max": ordered[-1],
        "mean": mean,
        "stddev": deviation,
        "rounds": len(seconds),
        "median": median,
        "iqr": q3 - q1,
        "q1": q1,
        "q3": q3,
        "iqr_outliers": outliers,
        "stddev_outliers": beyond,
        "outliers": f"{beyond};{outliers}",
        "ld15iqr": inside[0],
        "hd15iqr": inside[-1],
        "ops": len(seconds) / sum(seconds),
        "total": sum(seconds),
        "data": seconds,
        "iterations": 1,
    }


def action_benchmark(run: Run) -> tuple[dict[str, list[Document]], list[MetricRow]]:
    """Returns a run's numbers for github-action-benchmark's tools customBiggerIsBetter and customSmallerIsBetter.

    Returns:
        Entries by "bigger" and "smaller"; and the rows that have a direction but no value: these files have no word for
        a number that is missing.
    """
    protocol = run.record.spec.get("protocol", {})
    about = f"run {run.record.run_id}, protocol {protocol.get('name')}/{protocol.get('version')}"
    entries: dict[str, list[Document]] = {"bigger": [], "smaller": []}
    missing = []
    for row in run.rows:
        if row.direction == "none":
            continue
        if row.value is None:
            missing.append(row)
            continue
        error = {} if row.se is None else {"range": f"± {row.se:.3g}"}
        entry = {"name": f"{row.model}/{row.metric}", "unit": row.unit, "value": row.value, **error, "extra": about}
        entries["bigger" if row.direction == "higher" else "smaller"].append(entry)
    return entries, missing
