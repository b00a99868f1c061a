"""How cost grows with the batch, the number of images and the resolution, in tables and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trilemma.report import scaling_batch, scaling_images, scaling_resolution
from trilemma.report.names import brief
from trilemma.report.numbers import count, with_error
from trilemma.report.prose import listed
from trilemma.report.tables import NO_DEFAULT, NOT_MEASURED, shown_models
from trilemma.report.timed_calls import Window, absence

if TYPE_CHECKING:
    from trilemma.report.record import Run
    from trilemma.report.scaling_batch import BatchCost
    from trilemma.report.scaling_images import ImageCost
    from trilemma.report.scaling_resolution import ResolutionCost
    from trilemma.statistics.power_law import Exponent

NOT_RECORDED = "not recorded"
NAMED = 6
"""So many models are named in a sentence."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """What is said of one kind of growth.

    Attributes:
        said: sentences above the table; without rows they say why there are none.
        header: of the columns, the model's first. rows: a text for each, ``words`` the columns that hold no number.
    """

    title: str
    said: tuple[str, ...]
    caption: str = ""
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    words: tuple[int, ...] = ()


def batch_part(run: Run, windows: Sequence[Window]) -> Part:
    """Returns how the time of a call grows with the batch."""
    title, costs = "With the batch", scaling_batch.batch_costs(windows)
    if not costs:
        why = "" if windows else f" {absence(run)}"
        return Part(title=title, said=(f"Not measured: no batches were timed.{why}",))
    said = (
        "On a device that is busy with one image already, a call takes as many times longer as the batch is larger "
        "(exponent 1) and a batch saves nothing; where it is idle meanwhile, a larger batch is nearly free (0).",
    )
    return Part(
        title=title,
        said=said,
        caption="Medians of the counted calls. Exponent b: the time of a call grows as the batch to the power b, "
        "fitted by least squares on logarithmic scales, ± the standard error of the line where it has three "
        "points or more; “at the end” is between the two largest batches.",
        header=(
            "Model",
            "Batches",
            "Exponent",
            "At the end",
            "ms per image at first",
            "At the best batch",
            "Gain",
            "Ends",
        ),
        rows=tuple(tuple(_batch_cells(cost)) for cost in costs),
        words=(7,),
    )


def images_part(run: Run) -> Part:
    """Returns how the time of a run grows with the number of its images."""
    title, costs = "With the number of images", scaling_images.image_costs(run)
    if not costs:
        hidden = run.is_sweep and not shown_models(run)
        why = NO_DEFAULT if hidden else "Not measured: the record has no image that says when it was made."
        return Part(title=title, said=(why, _numbers(run)))
    return Part(
        title=title,
        said=(*_silent(scaling_images.unrecorded(run, costs)), _numbers(run)),
        caption="Seconds of the model's own calls, transfer to the host included, and of the networks that measure the "
        "images; what the suite does in between is under Overhead. Where the cost of an image does not depend on how "
        "many there are, both halves cost the same.",
        header=(
            "Model", "Images", "Seconds to make", "ms per image, first half", "Second half", "Seconds to measure",
            "ms per image",
        ),
        rows=tuple(tuple(_image_cells(cost)) for cost in costs),
    )  # fmt: skip


def resolution_part(run: Run) -> Part:
    """Returns how the cost of an image grows with its resolution."""
    title, groups = "With the resolution", scaling_resolution.resolution_costs(run)
    if not groups:
        return Part(title=title, said=(scaling_resolution.absence(run),))
    said = "Networks of one family at several resolutions differ in size as well: what grows here is the cost of the \
family's own models, not of resolution alone."
    rows = [_resolution_cells(cost, costs[0]) for costs in groups.values() for cost in costs]
    return Part(
        title=title,
        said=(said,),
        caption="Each × is against the first model of the family, the one with the smallest images.",
        header=(
            "Model", "Family", "Pixels a side", "Pixels", "Parameters", "ms per image", "×", "Latency, ms", "×",
            "Operations",
        ),
        rows=tuple(tuple(cells) for cells in rows),
        words=(1,),
    )  # fmt: skip


def _batch_cells(cost: BatchCost) -> Iterator[str]:
    yield cost.model
    if cost.sizes:
        best, least = cost.best
        yield from (", ".join(map(count, cost.sizes)), _exponent(cost.growth), _exponent(cost.last_growth))
        yield with_error(cost.image_ms[0])
        yield f"{with_error(least)} ({count(best)})"
        yield f"{cost.image_ms[0] / least:.2f} ×"
    else:
        yield from (NOT_MEASURED, "", "", "", "", "")
    yield (
        "; ".join(f"{reason} at {count(size)}" for size, _, reason in cost.ends) or f"{count(cost.sizes[-1])} was last"
    )


def _exponent(found: Exponent | None) -> str:
    if found is None:
        return NOT_MEASURED
    return f"{found.value:.2f}" + ("" if found.se is None else f" ± {found.se:.2f}")


def _image_cells(cost: ImageCost) -> Iterator[str]:
    yield from (cost.model, count(cost.images[-1]), with_error(cost.made[-1]))
    yield from map(with_error, cost.halves) if cost.halves is not None else ("one batch", "")
    if cost.measured is None:
        yield from (NOT_RECORDED, "")
    else:
        yield from (with_error(cost.measured[-1]), with_error(1e3 * cost.measured[-1] / cost.images[-1]))


def _silent(models: Sequence[str]) -> Iterator[str]:
    if models:
        named = [brief(model) for model in models[:NAMED]]
        more = [f"{len(models) - NAMED} more"] if len(models) > NAMED else []
        yield f"Of {listed([*named, *more])} this record holds no image, or not when it was made."


def _numbers(run: Run) -> str:
    """Returns what computing the numbers took, once, of all images."""
    seconds = run.record.seconds.get("metrics")
    if seconds is None:
        return "How long computing the numbers took is not recorded."
    once = "it was done once, at this number of images, so how it grows was not measured"
    return f"Computing the numbers of all models took {with_error(seconds)} s: {once}."


def _resolution_cells(cost: ResolutionCost, first: ResolutionCost) -> Iterator[str]:
    yield from (cost.model, cost.family, str(cost.resolution))
    yield f"{(cost.resolution / first.resolution) ** 2:,.3g} ×"
    yield "unknown" if cost.parameters is None else count(int(cost.parameters))
    yield from _against(cost.image_ms, first.image_ms)
    yield from _against(cost.batch1_ms, first.batch1_ms)
    yield NOT_MEASURED if cost.flops is None else with_error(cost.flops)


def _against(value: float | None, first: float | None) -> tuple[str, str]:
    if value is None:
        return NOT_MEASURED, ""
    return with_error(value), "" if first is None else f"{value / first:,.3g} ×"
