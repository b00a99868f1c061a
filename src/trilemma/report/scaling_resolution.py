"""How the cost of an image grows with its resolution, where a run timed one family at several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trilemma.card import SEPARATOR
from trilemma.report.tables import shown_models

if TYPE_CHECKING:
    from trilemma.report.record import Run

COSTS = ("images_per_second", "latency_batch1", "flops_per_image")


@dataclass(frozen=True, kw_only=True)
class ResolutionCost:
    """One model beside those of its family at other resolutions.

    Attributes:
        resolution: pixels of a side. parameters: None where they are unknown.
        image_ms: milliseconds per image at the best batch; batch1_ms: at batch 1; flops: per image. None where unknown.
    """

    family: str
    model: str
    resolution: int
    parameters: float | None
    image_ms: float | None
    batch1_ms: float | None
    flops: float | None


def resolution_costs(run: Run) -> dict[tuple[str, str], list[ResolutionCost]]:
    """Returns models by family and settings (what follows "@" in a name), ascending; only families at several sizes.

    Models at other settings, such as another precision, are no neighbours: they differ in more than in size.
    """
    groups: dict[tuple[str, str], list[ResolutionCost]] = {}
    for model in shown_models(run):
        cost = _cost(run, model)
        if cost is not None and not run.is_control(model):
            groups.setdefault((cost.family, model.partition(SEPARATOR)[2]), []).append(cost)
    ordered = {key: sorted(costs, key=lambda cost: cost.resolution) for key, costs in groups.items()}
    return {key: costs for key, costs in ordered.items() if costs[0].resolution < costs[-1].resolution}


def resolutions(run: Run) -> list[int]:
    """Returns the resolutions of all models of the run, as far as they are known, ascending."""
    known = {size for model in run.models if (size := _resolution(run, model)) is not None}
    return sorted(known)


def absence(run: Run) -> str:
    """Returns in one sentence why there is nothing to say of resolution."""
    sizes = resolutions(run)
    if not sizes:
        return "Not measured: the record says of no model at which resolution it draws."
    if len(sizes) == 1:
        return f"Not measured: every model of this run draws {sizes[0]} × {sizes[0]} pixels."
    sides = ", ".join(map(str, sizes))
    return f"Not measured: models of this run draw images of {sides} pixels a side, but none of one family and setting."


def _cost(run: Run, model: str) -> ResolutionCost | None:
    """Returns what is known of a timed model; None where family, resolution or any time is unknown."""
    resolution, family = _resolution(run, model), _told(run, model).get("family")
    numbers = {name: row.value for name in (*COSTS, "parameters") if (row := run.find(model, name)) is not None}
    rate, latency = numbers.get("images_per_second"), numbers.get("latency_batch1")
    if resolution is None or not family or (rate is None and latency is None):
        return None
    return ResolutionCost(
        family=str(family),
        model=model,
        resolution=resolution,
        parameters=numbers.get("parameters"),
        image_ms=1e3 / rate if rate else None,
        batch1_ms=None if latency is None else 1e3 * latency,
        flops=numbers.get("flops_per_image"),
    )


def _resolution(run: Run, model: str) -> int | None:
    """Returns what the model says; else, unless it was only timed, what the protocol asks of every model."""
    protocol = run.record.spec.get("protocol")
    asked = protocol.get("resolution") if isinstance(protocol, dict) and "speed" not in run.record.spec else None
    size = _told(run, model).get("resolution") or asked
    return size if isinstance(size, int) and size > 0 else None


def _told(run: Run, model: str) -> Mapping[str, object]:
    return {**run.card(model), **run.info(model)}
