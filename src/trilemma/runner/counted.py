"""The numbers that are counted, on every machine alike: parameters, network evaluations, operations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trilemma.runner.evaluate import Measured
from trilemma.runner.unknown import unknown_numbers
from trilemma.statistics.estimate import Estimate, exact, missing

NOT_TOLD = "the model does not say how many it has"


def counted(said: Mapping[str, Any], evaluations: float, images: int) -> dict[str, Measured]:
    """Returns the counters of the catalogue.

    Args:
        said: what the record holds of a model, with "info" and "flops".
        evaluations: of one image, on average over so many ``images``.
    """
    numbers = {
        "evaluations_per_image": Measured(estimate=exact(evaluations, images)),
        "parameters": Measured(estimate=_parameters(said["info"]["parameters"])),
        "flops_per_image": _flops(said["flops"]),
    }
    return numbers | {name: one for name, one in unknown_numbers(said["info"]).items() if name in numbers}


def _parameters(told: int | None) -> Estimate:
    return missing(NOT_TOLD, n=0) if told is None else exact(float(told), 1)


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
