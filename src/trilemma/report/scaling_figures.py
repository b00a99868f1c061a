"""Figures of how cost grows: with the batch, with the number of images, with the resolution."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from trilemma.report.figure_style import INK, WIDTH, bare
from trilemma.report.labels import Label, place
from trilemma.report.names import label
from trilemma.report.room import legend_size, log_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from trilemma.report.scaling_batch import BatchCost
    from trilemma.report.scaling_images import ImageCost
    from trilemma.report.scaling_resolution import ResolutionCost

Looks = Mapping[str, dict[str, Any]]
"""How each model is drawn: see :func:`trilemma.report.figure_style.look`."""
_HEIGHT = 3.9
_CROWD = 9
"""From so many ticks on they stand upright."""
_Line = tuple[str, Sequence[float], Sequence[float]]


def batch_figure(costs: Sequence[BatchCost], looks: Looks) -> Figure:
    """Draws the time of a call, and of an image, over the batch; × ends a line where the next batch did not fit."""
    calls: list[_Line] = [(cost.model, cost.sizes, cost.call_ms) for cost in costs if cost.sizes]
    images: list[_Line] = [(cost.model, cost.sizes, cost.image_ms) for cost in costs if cost.sizes]
    figure, (left, right) = _panels(calls, looks, 2)
    _lines(left, calls, looks, across="batch size", up="ms per call")
    _lines(right, images, looks, across="batch size", up="ms per image")
    for cost in costs:
        if cost.sizes and any(status == "out_of_memory" for _, status, _ in cost.ends):
            for axes, heights in ((left, cost.call_ms), (right, cost.image_ms)):
                axes.plot(cost.sizes[-1], heights[-1], marker="x", markersize=11, color=INK, markeredgewidth=1.4)
    return figure


def images_figure(costs: Sequence[ImageCost], looks: Looks) -> Figure:
    """Draws the seconds to make so many images; beside it, where any was recorded, those to make and measure them."""
    made: list[_Line] = [(cost.model, cost.images, cost.made) for cost in costs]
    both: list[_Line] = [
        (cost.model, cost.images, [one + other for one, other in zip(cost.made, cost.measured, strict=True)])
        for cost in costs
        if cost.measured is not None
    ]
    figure, panels = _panels(made, looks, 2 if both else 1)
    for axes, lines, up in zip(panels, (made, both), ("seconds to make", "seconds to make and measure"), strict=False):
        _lines(axes, lines, looks, across="images", up=up, marked=False)
    return figure


def resolution_figure(groups: Sequence[Sequence[ResolutionCost]], looks: Looks) -> Figure:
    """Draws what an image costs over its resolution, at the best batch and at batch 1; lines join a family's smallest
    images with each larger one.
    """
    figure = Figure(figsize=(WIDTH, _HEIGHT))
    panels = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.07, right=0.985, top=0.95, bottom=0.14, wspace=0.2)
    reads: tuple[tuple[Callable[[ResolutionCost], float | None], str], ...] = (
        (lambda cost: cost.image_ms, "ms per image at the best batch"),
        (lambda cost: cost.batch1_ms, "ms at batch 1"),
    )
    for axes, (read, up) in zip(panels, reads, strict=True):
        _resolutions(axes, groups, looks, read, up)
    return figure


def _panels(lines: Sequence[_Line], looks: Looks, number: int) -> tuple[Figure, Sequence[Axes]]:
    """Returns a figure of so many panels, and beside them a legend with room for every name."""
    width, height = legend_size(looks[model]["name"] for model, *_ in lines)
    figure = Figure(figsize=(WIDTH, max(_HEIGHT, height)))
    panels: Sequence[Axes] = figure.subplots(1, number, squeeze=False)[0]
    inches = figure.get_figheight()
    figure.subplots_adjust(
        left=0.07, right=1 - (width + 0.15) / WIDTH, top=1 - 0.15 / inches, bottom=0.55 / inches, wspace=0.27
    )
    handles = [Line2D([], [], **_line(looks[model]), label=looks[model]["name"]) for model, *_ in lines]
    figure.legend(
        handles=handles, loc="center right", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8.5, labelcolor=INK
    )
    return figure, panels


def _line(style: dict[str, Any], *, marked: bool = True) -> dict[str, Any]:
    return {
        "color": style["color"], "linestyle": style["line"], "linewidth": 1.0 if style["control"] else 1.7,
        "marker": style["marker"] if marked else "", "markersize": style["size"], "markeredgewidth": 0,
    }  # fmt: skip


def _lines(axes: Axes, lines: Sequence[_Line], looks: Looks, *, across: str, up: str, marked: bool = True) -> None:
    axes.set(xlabel=across, ylabel=up)
    bare(axes)
    for model, xs, ys in lines:
        alone = len(xs) < 2  # without a mark it would not be seen
        axes.plot(xs, ys, **_line(looks[model], marked=marked or alone))
    _scales(axes, [x for _, xs, _ in lines for x in xs], [y for *_, ys in lines for y in ys], steps=marked)


def _scales(axes: Axes, xs: Sequence[float], ys: Sequence[float], *, steps: bool) -> None:
    """Puts both axes on logarithmic scales; with ``steps`` there is a tick at every x."""
    if not xs or not ys:
        return
    axes.set(xscale="log", yscale="log")
    for axis, values, limit in ((axes.xaxis, xs, axes.set_xlim), (axes.yaxis, ys, axes.set_ylim)):
        known = [value for value in values if value > 0]
        if known:
            low, high = min(known) / 1.15, max(known) * 1.15
            limit(low, high)
            log_ticks(axis, low, high)
    if steps:
        ticks = sorted(set(xs))
        axes.set_xticks(ticks, [f"{tick:,.0f}" for tick in ticks], rotation=90 if len(ticks) > _CROWD else 0)


def _resolutions(
    axes: Axes,
    groups: Sequence[Sequence[ResolutionCost]],
    looks: Looks,
    read: Callable[[ResolutionCost], float | None],
    up: str,
) -> None:
    labels = []
    for costs in groups:
        points = [(cost, height) for cost in costs if (height := read(cost)) is not None]
        first = points[0] if points else None
        for cost, height in points:
            style = looks[cost.model]
            if first is not None and first[0] is not cost:
                ends = [first[0].resolution, cost.resolution]
                axes.plot(ends, [first[1], height], color=style["color"], linewidth=1.0, alpha=0.6)
            axes.plot(cost.resolution, height, **_line(style))
            labels.append(Label(text=label(cost.model), x=cost.resolution, y=height, color=style["color"]))
    _scales(axes, [one.x for one in labels], [one.y for one in labels], steps=True)
    axes.set_xlim(min([one.x for one in labels], default=1) / 2, max([one.x for one in labels], default=1) * 2)
    axes.set(xlabel="pixels a side", ylabel=up)
    bare(axes)
    place(axes, labels)
