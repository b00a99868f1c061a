"""Two runs, number by number: differences with their errors, paired image by image where the record allows it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from trilemma.errors import UserError
from trilemma.metrics.catalog import METRICS
from trilemma.runner.pairing import Pairing
from trilemma.runner.speed import depends_on_machine
from trilemma.statistics.estimate import Estimate
from trilemma.statistics.paired import paired
from trilemma.store.metric_rows import MetricRow
from trilemma.store.run import Run

Verdict = Literal["ok", "INCOMPARABLE", "MISSING"]
# What a number must share with another, besides protocol, seed and size, to be compared with it.
IDENTITY_PARAMS = ("reference", "k", "splits", "classes", "kind")
# The anchors of a score: measured, and so equal to rounding alone.
ANCHORS = ("reduced", "real")


@dataclass(frozen=True, kw_only=True)
class Difference:
    """``difference`` = b - a, with its error and interval; ``reason`` where there is none.

    That of two scores is the difference of the unclipped ones, whose error it has.

    Attributes:
        pairing: "paired" where image i of both was made from the same prompt and noise, else "unpaired"; where the
            number could be paired but these two runs cannot, ``reason`` says why.
    """

    model: str
    metric: str
    a: float | None
    b: float | None
    difference: float | None = None
    se: float | None = None
    se_method: str | None = None
    ci: tuple[float, float] | None = None
    pairing: Literal["paired", "unpaired"] | None = None
    verdict: Verdict = "ok"
    reason: str | None = None


def compare(a: Run, b: Run) -> list[Difference]:
    """Returns one difference for each model and metric that either run has, in the order of ``a``."""
    rows_a = {(row.model, row.metric): row for row in a.rows}
    rows_b = {(row.model, row.metric): row for row in b.rows}
    keys = dict.fromkeys([*rows_a, *rows_b])
    pairing = Pairing(a, b)
    return [
        _compare(pairing, model, metric, rows_a.get((model, metric)), rows_b.get((model, metric)))
        for model, metric in keys
    ]


def identity(run: Run, row: MetricRow) -> dict[str, Any]:
    """Returns the fields that two numbers must share to be compared."""
    protocol = run.record.spec["protocol"]
    fields: dict[str, Any] = {"protocol": f"{protocol['name']}/{protocol['version']}"}
    fields |= {"resolution": protocol["resolution"], "metric_version": row.metric_version, "unit": row.unit}
    metric = METRICS.get(row.metric)
    if metric is not None and metric.axis != "about" and not depends_on_machine(row.metric):
        fields |= {"seed": run.record.spec["seed"], "samples": run.record.spec["samples"], "sets": protocol["sets"]}
        fields |= {"batch_size": protocol["batch_size"], "extractor": row.extractor}
    if depends_on_machine(row.metric):
        keys = run.record.keys.get(row.model, {})
        for kind in ("execution", "hardware"):
            fields |= {f"{kind}.{k}": v for k, v in keys.get(kind, {}).get("fields", {}).items()}
    fields |= {name: f"{row.params[name]:.6g}" for name in ANCHORS if row.params.get(name) is not None}
    return fields | {name: row.params[name] for name in IDENTITY_PARAMS if name in row.params}


def _compare(pairing: Pairing, model: str, metric: str, a: MetricRow | None, b: MetricRow | None) -> Difference:
    values = {"model": model, "metric": metric, "a": a.value if a else None, "b": b.value if b else None}
    if a is None or b is None:
        return Difference(**values, verdict="MISSING", reason=f"only in {'b' if a is None else 'a'}")  # type: ignore[arg-type]
    for name, row in (("a", a), ("b", b)):
        if row.value is None:
            return Difference(**values, verdict="MISSING", reason=f"{name}: {row.reason}")  # type: ignore[arg-type]
    differing = _differing(identity(pairing.a, a), identity(pairing.b, b))
    if differing:
        return Difference(**values, verdict="INCOMPARABLE", reason="; ".join(differing))  # type: ignore[arg-type]
    estimate, in_pairs, reason = _difference(*pairing.sides(a, b))
    return Difference(
        **values,  # type: ignore[arg-type]
        difference=estimate.value,
        se=estimate.se,
        se_method=estimate.se_method,
        ci=estimate.interval(),
        pairing="paired" if in_pairs else "unpaired",
        verdict="ok" if estimate.value is not None else "MISSING",
        reason=estimate.reason or reason,
    )


def _differing(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    return [f"{name}: {a.get(name)} against {b.get(name)}" for name in {**a, **b} if a.get(name) != b.get(name)]


def _difference(a: Estimate, b: Estimate, obstacle: str | None) -> tuple[Estimate, bool, str | None]:
    """Returns b - a, whether it is paired, and if not, what stood in the way; None where nothing could be paired."""
    if obstacle is None and a.replicates:
        try:
            return paired(a, b), True, None
        except UserError as error:
            obstacle = str(error)
    return _unpaired(a, b), False, None if obstacle is None else f"unpaired: {obstacle}"


def _unpaired(a: Estimate, b: Estimate) -> Estimate:
    assert a.value is not None and b.value is not None
    se = None if a.se is None or b.se is None else math.hypot(a.se, b.se)
    method = "none" if se is None else "difference"
    return Estimate(value=b.value - a.value, se=se, se_method=method, n=min(a.n, b.n))
