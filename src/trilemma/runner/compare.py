"""Two runs, number by number: differences with their errors, paired image by image where the record allows it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from trilemma.metrics.catalog import METRICS
from trilemma.runner.speed import depends_on_machine
from trilemma.statistics.estimate import Estimate, missing
from trilemma.statistics.paired import paired_difference, paired_influence
from trilemma.store.arrays import read_arrays
from trilemma.store.metric_rows import MetricRow
from trilemma.store.run import Run

if TYPE_CHECKING:
    import pandas as pd

Verdict = Literal["ok", "INCOMPARABLE", "MISSING"]
# What a number must share with another, besides protocol, seed and size, to be compared with it.
IDENTITY_PARAMS = ("reference", "k", "splits", "classes", "kind")
CAPTIONED = ("shape", "color", "background")


@dataclass(frozen=True, kw_only=True)
class Difference:
    """``difference`` = b - a, with its error and interval; ``reason`` where there is none.

    Attributes:
        pairing: "paired" where image i of both was made from the same prompt and noise, else "unpaired".
    """

    model: str
    metric: str
    a: float | None
    b: float | None
    difference: float | None = None
    se: float | None = None
    ci: tuple[float, float] | None = None
    pairing: Literal["paired", "unpaired"] | None = None
    verdict: Verdict = "ok"
    reason: str | None = None


def compare(a: Run, b: Run) -> list[Difference]:
    """Returns one difference for each model and metric that either run has, in the order of ``a``."""
    rows_a = {(row.model, row.metric): row for row in a.rows}
    rows_b = {(row.model, row.metric): row for row in b.rows}
    keys = dict.fromkeys([*rows_a, *rows_b])
    return [
        _compare(a, b, model, metric, rows_a.get((model, metric)), rows_b.get((model, metric)))
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
    return fields | {name: row.params[name] for name in IDENTITY_PARAMS if name in row.params}


def _compare(run_a: Run, run_b: Run, model: str, metric: str, a: MetricRow | None, b: MetricRow | None) -> Difference:
    values = {"model": model, "metric": metric, "a": a.value if a else None, "b": b.value if b else None}
    if a is None or b is None:
        return Difference(**values, verdict="MISSING", reason=f"only in {'b' if a is None else 'a'}")  # type: ignore[arg-type]
    for name, row in (("a", a), ("b", b)):
        if row.value is None:
            return Difference(**values, verdict="MISSING", reason=f"{name}: {row.reason}")  # type: ignore[arg-type]
    differing = _differing(identity(run_a, a), identity(run_b, b))
    if differing:
        return Difference(**values, verdict="INCOMPARABLE", reason="; ".join(differing))  # type: ignore[arg-type]
    paired = _paired(run_a, run_b, a, b)
    estimate = paired if paired is not None else _unpaired(a, b)
    return Difference(
        **values,  # type: ignore[arg-type]
        difference=estimate.value,
        se=estimate.se,
        ci=estimate.interval(),
        pairing="paired" if paired is not None else "unpaired",
        verdict="ok" if estimate.value is not None else "MISSING",
        reason=estimate.reason,
    )


def _differing(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    return [f"{name}: {a.get(name)} against {b.get(name)}" for name in {**a, **b} if a.get(name) != b.get(name)]


def _unpaired(a: MetricRow, b: MetricRow) -> Estimate:
    assert a.value is not None and b.value is not None
    se = None if a.se is None or b.se is None else math.hypot(a.se, b.se)
    method = "none" if se is None else "difference"
    return Estimate(value=b.value - a.value, se=se, se_method=method, n=min(a.n or 0, b.n or 0))


def _paired(run_a: Run, run_b: Run, a: MetricRow, b: MetricRow) -> Estimate | None:
    """Returns the difference over common images, None where this metric has no values image by image."""
    influence_a, influence_b = (_influence(run, row) for run, row in ((run_a, a), (run_b, b)))
    if influence_a is None and a.metric not in PER_IMAGE:
        return None
    samples_a, samples_b = _samples(run_a, a), _samples(run_b, b)
    order = samples_b.index.get_indexer(samples_a.index)
    if len(samples_a) != len(samples_b) or (order < 0).any():
        return missing("the images of the two runs have different keys", n=0)
    if influence_a is not None and influence_b is not None:
        assert a.value is not None and b.value is not None
        return paired_influence(a.value, b.value, influence_a, influence_b[order])
    per_image = PER_IMAGE.get(a.metric)
    if per_image is None:
        return None
    return paired_difference(per_image(samples_a, a), per_image(samples_b.iloc[order], b))


def _samples(run: Run, row: MetricRow) -> pd.DataFrame:
    samples = run.samples(row.model)
    return samples[samples["set"] == row.set].set_index("key")


def _influence(run: Run, row: MetricRow) -> NDArray[np.float64] | None:
    path = run.folder.influence(row.model)
    return read_arrays(path).get(row.metric) if path.is_file() else None


def _column(name: str) -> Callable[[pd.DataFrame, MetricRow], NDArray[np.float64]]:
    return lambda samples, _: np.asarray(samples[name], dtype=np.float64)


def _right(samples: pd.DataFrame, _: MetricRow) -> NDArray[np.float64]:
    right = [np.asarray(samples[f"read_{name}"] == samples[f"target_{name}"]) for name in CAPTIONED]
    return np.asarray(np.logical_and.reduce(right), dtype=np.float64)


def _off(samples: pd.DataFrame, row: MetricRow) -> NDArray[np.float64]:
    return np.asarray(samples["residual"] > row.params["threshold"], dtype=np.float64)


PER_IMAGE: dict[str, Callable[[pd.DataFrame, MetricRow], NDArray[np.float64]]] = {
    "clip_score": _column("clip_score"),
    "residual": _column("residual"),
    "prompt_accuracy": _right,
    "off_manifold": _off,
}
