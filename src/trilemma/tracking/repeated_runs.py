"""Complete runs that repeat each other: what their quality differs by is noise."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

from trilemma.errors import UserError
from trilemma.metrics.catalog import METRICS
from trilemma.runner.speed import depends_on_machine
from trilemma.store.metric_rows import MetricRow
from trilemma.store.run import Run
from trilemma.tracking.calibration import Noise

# What a run's specification may hold and repetitions still differ in: who else took part, what is kept.
NOT_COMPARED = ("models", "images")


def sigma_of(values: Sequence[float]) -> float:
    """Returns the standard deviation of the difference of two of ``values``: sqrt(mean Δ²) over all pairs.

    That is √2 times their standard deviation, but exactly 0 for equal values. The mean of Δ is 0: which of two
    identical versions comes first is arbitrary. All pairs count, not neighbours alone: a gate compares sessions that
    lie far apart.
    """
    squares = [(a - b) ** 2 for a, b in combinations(values, 2)]
    return math.sqrt(sum(squares) / len(squares))


def check_repetitions(runs: Sequence[Run], model: str) -> None:
    """Raises UserError unless the runs are complete and repeat each other: same model, images, machine and code."""
    for run in runs:
        if run.record.status != "complete":
            raise UserError(f"this run is not complete: it is {run.record.status}.", where=run.record.run_id)
        if model not in run.record.keys:
            raise UserError(f'this run has no model "{model}".', where=run.record.run_id)
        before, after = _identity(runs[0], model), _identity(run, model)
        if fields := [name for name in before if before[name] != after[name]]:
            what = f"only repetitions can be calibrated with; {runs[0].record.run_id} has another {', '.join(fields)}."
            raise UserError(what, where=run.record.run_id)


def quality_noise(runs: Sequence[Run], model: str) -> Iterator[Noise]:
    """Yields the noise of every metric of a model that is measured on its images; null where a run has no value."""
    for row in runs[0].rows if runs else ():
        if row.model == model and _is_quality(row.metric):
            yield _noise(runs, row)


def _noise(runs: Sequence[Run], row: MetricRow) -> Noise:
    rows = [run.row(row.model, row.metric) for run in runs]
    values = [other.value for other in rows if other is not None and other.value is not None]
    complete = len(values) == len(runs)
    return Noise(
        model=row.model,
        metric=row.metric,
        sigma=sigma_of(values) if complete else None,
        pairs=math.comb(len(runs), 2) if complete else 0,
        unit=row.unit,
        method="complete runs",
        reason=None if complete else "not every run has a value",
    )


def _is_quality(metric: str) -> bool:
    """Facts about a model are exact; times are calibrated in processes of their own."""
    return metric in METRICS and METRICS[metric].axis not in ("about", "speed") and not depends_on_machine(metric)


def _identity(run: Run, model: str) -> dict[str, Any]:
    record, keys = run.record, run.record.keys[model]
    return {
        **{name: value for name, value in record.spec.items() if name not in NOT_COMPARED},
        "model": keys["case"]["digest"],
        "class of machine": keys["hardware"]["digest"],
        "instruments": record.instruments,
        "version": record.tool.get("version"),
        "commit": record.tool.get("git"),
    }
