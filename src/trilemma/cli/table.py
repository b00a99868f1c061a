"""A run's numbers as a table on the screen, as CSV and as JSON."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trilemma.cli.text_table import MISSING
from trilemma.metrics.catalog import DISTANCES, METRICS
from trilemma.report.numbers import quantity, with_error
from trilemma.store.atomic import write_text

if TYPE_CHECKING:
    from rich.table import Table

    from trilemma.store.metric_rows import MetricRow
    from trilemma.store.run import Run

# The columns of the score table. Errors stand with the scores and the distance: a terminal holds no more.
SCORES = {"score_quality": "quality", "score_diversity": "diversity", "score_speed": "speed"}
SHORT = {"fd_scenes": "FD", "fd": "FD"}
"""Headings of distances whose titles are long."""
BESIDE = {
    "coverage": "coverage",
    "prompt_accuracy": "accuracy",
    "images_per_second": "images/s",
    "latency_batch1": "latency",
}


def summary_table(run: Run) -> Table:
    """Returns the scores, the times of the verb ``speed``, or every number of another run without scores."""
    from trilemma.cli.speed_table import is_speed, speed_table

    if is_speed(run):
        return speed_table(run)
    scored = any(row.metric in SCORES for row in run.rows)
    return score_table(run) if scored else metric_table(run)


def score_table(run: Run) -> Table:
    """Returns the scores with the raw numbers beside them, one line per model."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    partial = " (partial protocol: fewer images, comparable only with runs of the same size)"
    title = f"{run.record.spec['protocol']['name']} {run.record.run_id}{partial if run.record.partial else ''}"
    caption = "± is one standard error. Accuracy is that of prompts, latency that at batch 1."
    table = Table(
        title=title, caption=caption, title_justify="left", caption_justify="left", box=SIMPLE_HEAD, padding=0
    )
    scored, beside = _columns(run)
    table.add_column("model")
    for heading in (*scored.values(), *beside.values()):
        table.add_column(heading, justify="right")
    for model in run.models:
        cells = [_cell(run.row(model, metric)) for metric in scored]
        table.add_row(run.label(model), *cells, *[_cell(run.row(model, metric), error=False) for metric in beside])
    return table


def _columns(run: Run) -> tuple[dict[str, str], dict[str, str]]:
    """Returns metric → heading of the columns with errors, and of those without; what a protocol lacks has none."""
    measured = {row.metric for row in run.rows}
    distance = next((name for name in DISTANCES if name in measured), None)
    scored = SCORES if distance is None else SCORES | {distance: SHORT.get(distance, METRICS[distance].title)}
    return scored, {name: heading for name, heading in BESIDE.items() if name in measured}


def metric_table(run: Run) -> Table:
    """Returns every number, one line per metric, one column per model."""
    from rich.table import Table

    table = Table(title="All metrics", title_justify="left")
    table.add_column("metric")
    for model in run.models:
        table.add_column(run.label(model), justify="right")
    for metric in dict.fromkeys(row.metric for row in run.rows):
        table.add_row(metric, *[_cell(run.row(model, metric)) for model in run.models])
    return table


def write_csv(run: Run, path: Path) -> None:
    """Writes one line per model: each metric's value and standard error; empty where there is none."""
    metrics = list(dict.fromkeys(row.metric for row in run.rows))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["model", *[name for metric in metrics for name in (metric, f"{metric}_se")]])
    for model in run.models:
        rows = [run.row(model, metric) for metric in metrics]
        writer.writerow([model, *[text for row in rows for text in _csv_cells(row)]])
    write_text(path.expanduser(), buffer.getvalue())


def run_as_json(run: Run) -> dict[str, Any]:
    """Returns the record and its numbers as one JSON document."""
    return {
        "run": str(run.folder.path),
        "status": run.record.status,
        "partial": run.record.partial,
        "errors": run.record.errors,
        "metrics": [asdict(row) for row in run.rows],
    }


def _cell(row: MetricRow | None, *, error: bool = True) -> str:
    if row is None or row.value is None:
        return MISSING if row is None or row.status == "skipped" else row.status
    if row.unit == "s":
        return seconds(row.value, row.se if error else None)
    if row.unit == "bytes":
        return quantity(row.value, None, row.unit)
    return with_error(row.value, row.se) if error else f"{row.value:,.{0 if row.value >= 100 else 3}f}"


def seconds(value: float, se: float | None = None) -> str:
    """Returns a time in seconds, or in milliseconds where that reads better."""
    if value >= 1:
        return f"{with_error(value, se)} s"
    return f"{with_error(value * 1e3, None if se is None else se * 1e3)} ms"


def _csv_cells(row: MetricRow | None) -> tuple[str, str]:
    if row is None:
        return "", ""
    return "" if row.value is None else repr(row.value), "" if row.se is None else repr(row.se)
