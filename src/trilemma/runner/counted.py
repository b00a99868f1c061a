"""The numbers that are counted, on every machine alike: parameters, network evaluations, operations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trilemma.runner.evaluate import Measured
from trilemma.statistics.estimate import Estimate, missing


def counted(said: Mapping[str, Any], evaluations: float, images: int) -> dict[str, Measured]:
    """Returns the counters of the catalogue.

    Args:
        said: what the record holds of a model, with "info" and "flops".
        evaluations: of one image, on average over so many ``images``.
    """
    return {
        "evaluations_per_image": Measured(estimate=exact(evaluations, images)),
        "parameters": Measured(estimate=exact(float(said["info"]["parameters"]), 1)),
        "flops_per_image": _flops(said["flops"]),
    }


def exact(value: float, n: int) -> Estimate:
    """Returns a number without an error."""
    return Estimate(value=value, se=None, se_method="none", n=n)


def _flops(found: Mapping[str, Any]) -> Measured:
    """A sum that some operations are missing from is told as what it is: a lower bound."""
    value, n = found["per_image"], found["batch_size"]
    params = {"batch_size": n, "operations": found["operations"]}
    if value is None:
        return Measured(estimate=missing(found["reason"], n=n), params=params)
    if not (uncounted := found.get("uncounted")):
        return Measured(estimate=exact(value, n), params=params)
    reason = f"a lower bound: torch has no formula for {', '.join(uncounted)}"
    estimate = Estimate(value=value, se=None, se_method="none", n=n, reason=reason)
    return Measured(estimate=estimate, params=params | {"uncounted": list(uncounted)})
