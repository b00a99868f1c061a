"""What two numbers must share to be compared, and what is allowed to differ: the subject."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trilemma.metrics.catalog import METRICS
from trilemma.runner.speed import depends_on_machine
from trilemma.store.metric_rows import MetricRow
from trilemma.store.run import Run

# What a number must share with another, besides protocol, seed and size, to be compared with it.
IDENTITY_PARAMS = ("reference", "k", "strict", "splits", "classes", "kind")
# The anchors of a score: measured, and so equal to rounding alone.
ANCHORS = ("reduced", "real")


def plan(run: Run) -> dict[str, Any]:
    """Returns what decides which images a run draws, whatever its models."""
    protocol = run.record.spec["protocol"]
    return {
        "protocol": f"{protocol['name']}/{protocol['version']}",
        **{name: protocol[name] for name in ("resolution", "sets", "batch_size")},
        **{name: run.record.spec[name] for name in ("seed", "samples")},
    }


def measurement(run: Run, row: MetricRow) -> dict[str, Any]:
    """Returns the fields that two numbers must share to be compared."""
    planned = plan(run)
    fields: dict[str, Any] = {name: planned[name] for name in ("protocol", "resolution")}
    fields |= {"metric_version": row.metric_version, "unit": row.unit}
    if depends_on_machine(row.metric):
        fields |= machine(run, row.model)
    elif row.metric in METRICS and METRICS[row.metric].axis != "about":
        fields |= {**planned, "extractor": row.extractor}
    fields |= {name: f"{row.params[name]:.6g}" for name in ANCHORS if row.params.get(name) is not None}
    return fields | {name: row.params[name] for name in IDENTITY_PARAMS if name in row.params}


def machine(run: Run, model: str) -> dict[str, Any]:
    """Returns the fields of a model's execution and class of hardware."""
    keys = run.record.keys.get(model, {})
    fields: dict[str, Any] = {}
    for kind in ("execution", "hardware"):
        fields |= {f"{kind}.{name}": value for name, value in keys.get(kind, {}).get("fields", {}).items()}
    return fields


def arithmetic(run: Run, model: str) -> dict[str, Any]:
    """Returns what must agree before the same model can be expected to draw the same bytes."""
    fields = machine(run, model)
    kept = ("execution.threads", "hardware.device", "hardware.name")
    torch = run.record.env.get("packages", {}).get("torch")
    return {name: fields.get(name) for name in kept} | {"torch": torch}


def differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """Returns one text for each field that is not the same."""
    return [f"{name}: {a.get(name)} against {b.get(name)}" for name in {**a, **b} if a.get(name) != b.get(name)]


def subject(run: Run, model: str) -> dict[str, Any]:
    """Returns what a comparison is about: the model's revision, its knobs and the version of the suite."""
    case = run.record.keys.get(model, {}).get("case", {}).get("fields", {})
    knobs = {f"knob {name}": value for name, value in case.get("knobs", {}).items()}
    tool = run.record.tool
    commit = None if tool.get("git") is None else f"{tool['git'][:10]}{' with changes' if tool.get('dirty') else ''}"
    revision = str(case.get("revision", ""))[:10]
    return {"revision": revision, **knobs, "dtype": case.get("dtype"), "suite": tool.get("version"), "commit": commit}
