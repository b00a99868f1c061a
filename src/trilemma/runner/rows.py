"""A number with all that makes it a line of the record."""

from __future__ import annotations

from trilemma import __version__
from trilemma.identity import digest
from trilemma.metrics.catalog import Metric
from trilemma.runner.evaluate import Measured
from trilemma.runner.speed import depends_on_machine
from trilemma.statistics.intervals import LEVEL
from trilemma.store.events import now
from trilemma.store.metric_rows import MetricRow
from trilemma.store.run import Run

# The catalogue's roles, in the words of a protocol's [extractors].
ROLES = {"features": "features", "factors": "reader", "clip": "clip", "inception": "inception"}


def metric_row(run: Run, model: str, metric: Metric, measured: Measured) -> MetricRow:
    """Returns the row of a model's number; ``params`` may bring the interval of a score, and a number of processes."""
    estimate = measured.estimate
    interval = measured.params.get("interval") if metric.axis == "score" else estimate.interval(LEVEL)
    return MetricRow(
        run_id=run.record.run_id,
        model=model,
        metric=metric.name,
        set=measured.set or metric.set,
        metric_version=metric.version,
        series=_series(run, model, metric),
        extractor=_extractor(run, measured.role or ROLES.get(metric.extractor or "")),
        value=estimate.value,
        unit=metric.unit,
        direction=metric.direction,
        n=estimate.n,
        n_reference=measured.n_reference,
        se=estimate.se,
        se_method=estimate.se_method,
        ci=interval,
        ci_level=LEVEL,
        replicates=measured.params.get("processes", 1),
        computed_at=now(),
        tool_version=__version__,
        status=estimate.status,
        reason=estimate.reason,
        params={name: value for name, value in measured.params.items() if name != "interval"},
    )


def _series(run: Run, model: str, metric: Metric) -> str:
    """Quality belongs to the case alone; speed to case, execution and hardware together."""
    keys = run.record.keys.get(model, {})
    names = ("case", "execution", "hardware") if depends_on_machine(metric.name) else ("case",)
    return digest([metric.name, *[keys.get(name, {}).get("digest") for name in names]])


def _extractor(run: Run, role: str | None) -> str | None:
    found = run.record.instruments.get(role) if role is not None else None
    return f"{role}:{found[:16]}" if found is not None else None
