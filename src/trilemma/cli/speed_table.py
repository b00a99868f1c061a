"""A run of the verb ``speed`` as a table, and what is to be said below it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from trilemma.card import RANDOM
from trilemma.cli.table import seconds
from trilemma.cli.text_table import MISSING, text_table
from trilemma.report.numbers import quantity, with_error
from trilemma.runner.busy import BUSY_CORES
from trilemma.stages import STAGES

if TYPE_CHECKING:
    from rich.table import Table

    from trilemma.store.metric_rows import MetricRow
    from trilemma.store.run import Run

NAME = "speed"
# Metric → heading and how a value is written. A column that no model has a number for is left out, and a note says why.
Write = Callable[["MetricRow"], str]


def is_speed(run: Run) -> bool:
    """Whether a run is one of the verb ``speed``."""
    return bool(run.record.spec["protocol"]["name"] == NAME and "speed" in run.record.spec)


def speed_table(run: Run) -> Table:
    """Returns one line per model, with the columns that any of them has a number for."""
    shown = {name: column for name, column in COLUMNS.items() if any(_has(run, model, name) for model in run.models)}
    header = ["model", *[heading for heading, _ in shown.values()]]
    rows = [
        [_labelled(run, model), *[_cell(run.row(model, name), write) for name, (_, write) in shown.items()]]
        for model in run.models
    ]
    table = text_table(f"{NAME} {run.record.run_id}", header, rows)
    table.caption = "± is one standard error between processes. Stages, memory, MFU and energy are at the best batch."
    table.caption_justify = "left"
    for column in table.columns[1:]:
        column.justify, column.overflow = "right", "fold"
    return table


def notes(run: Run) -> list[str]:
    """Returns what a reader must know: failures, a machine with other work, restless warm-ups, what is missing."""
    lines = [f"{model} failed: {error['type']}: {error['message']}" for model, error in run.record.errors.items()]
    lines += [line for model in run.models for line in _disturbed(run, model)]
    return [*lines, *_absent(run)]


def marks(run: Run, model: str) -> list[str]:
    """Returns what sets a model apart from a trained contestant, for brackets behind its name."""
    card = run.record.cards[model]
    told = {"control": bool(card.get("control")), "random weights": card.get("weights") == RANDOM}
    return [mark for mark, applies in told.items() if applies]


def _labelled(run: Run, model: str) -> str:
    found = marks(run, model)
    return f"{model} ({', '.join(found)})" if found else model


def _cell(row: MetricRow | None, write: Write) -> str:
    if row is None or row.value is None:
        return MISSING if row is None or row.status == "skipped" else row.status
    return write(row)


def _has(run: Run, model: str, name: str) -> bool:
    row = run.row(model, name)
    return row is not None and (row.value is not None or row.status != "skipped")


def _disturbed(run: Run, model: str) -> list[str]:
    processes = run.record.models[model]["processes"]
    busy = [process["load_of_others"] for process in processes if process["load_of_others"] > BUSY_CORES]
    disturbed = f"{model}: other processes used up to {max(busy, default=0):.1f} cores in {len(busy)} of"
    told = [f"{disturbed} {len(processes)} processes"] if busy else []
    rows = [row for row in run.rows if row.model == model and row.value is not None and row.reason]
    return [*told, *[f"{model}: {reason}" for reason in dict.fromkeys(row.reason for row in rows)]]


def _absent(run: Run) -> list[str]:
    """One line for each reason that every model shares; others stand in the report."""
    found: dict[str, list[str]] = {}
    for name, (heading, _) in COLUMNS.items():
        rows = [row for model in run.models if (row := run.row(model, name)) is not None]
        reasons = {row.reason for row in rows}
        if rows and all(row.status == "skipped" for row in rows) and len(reasons) == 1:
            found.setdefault(str(rows[0].reason), []).append(heading)
    return [f"no {', '.join(headings)}: {reason}" for reason, headings in found.items()]


def _time(row: MetricRow) -> str:
    assert row.value is not None
    return seconds(row.value, row.se)


def _rate(row: MetricRow) -> str:
    assert row.value is not None
    return f"{with_error(row.value, row.se)} at {row.params['batch_size']}"


def _plain(row: MetricRow) -> str:
    assert row.value is not None
    return quantity(row.value, row.se, row.unit)


def _share(row: MetricRow) -> str:
    assert row.value is not None
    return f"{row.value:.1%}"


COLUMNS: dict[str, tuple[str, Write]] = {
    "latency_batch1": ("latency", _time),
    "latency_p90": ("p90", _time),
    "latency_p99": ("p99", _time),
    "images_per_second": ("images/s at batch", _rate),
    **{f"seconds_{name}": (name, _time) for name in STAGES},
    "load_seconds": ("load", _time),
    "first_call_seconds": ("first call", _time),
    "compile_seconds": ("compile", _time),
    "peak_memory": ("memory", _plain),
    "peak_memory_reserved": ("reserved", _plain),
    "mfu": ("MFU", _share),
    "joules_per_image": ("J/image", _plain),
}
