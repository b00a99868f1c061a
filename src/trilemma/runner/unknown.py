"""What cannot be measured of a model, as numbers without a value: each says why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trilemma.generator import Aspect
from trilemma.metrics.catalog import METRICS
from trilemma.runner.evaluate import Measured
from trilemma.runner.speed import depends_on_machine
from trilemma.statistics.estimate import missing

OF_ASPECT: Mapping[Aspect, tuple[str, ...]] = {
    "speed": tuple(name for name in METRICS if depends_on_machine(name)),
    "memory": ("peak_memory",),
    "parameters": ("parameters",),
    "evaluations": ("evaluations_per_image",),
    "operations": ("flops_per_image",),
}


def unknown_numbers(info: Mapping[str, Any]) -> dict[str, Measured]:
    """Returns the metrics that a model, as the record holds what it said of itself, says it cannot be measured by."""
    told: Mapping[Aspect, str] = info.get("unknown", {})
    return {
        name: Measured(estimate=missing(reason, n=0)) for aspect, reason in told.items() for name in OF_ASPECT[aspect]
    }
