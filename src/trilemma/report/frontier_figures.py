"""Figures of a sweep: the frontier in projections and in the cube, and what each knob trades."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import LightSource, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator

from trilemma.report.figure_style import INK, MARKERS, PALETTE, WIDTH, bare
from trilemma.report.frontier import share
from trilemma.statistics.frontier import non_dominated
from trilemma.store.frontier import AXES, BESIDE, TRADED, Frontier, ModelFrontier, Setting, Trade

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

PAIRS = (("quality", "diversity"), ("quality", "speed"), ("diversity", "speed"))
# Inches: the height of the projections, of a row of cubes, of a row of trades; and how many cubes stand in a row.
_FLAT, _CUBE, _TRADE = 3.2, 2.95, 2.5
_ROW = 4
_EDGE = 10.0
_HOLLOW: dict[str, Any] = {"linestyle": "", "markerfacecolor": "none"}


def frontier_figure(frontier: Frontier) -> Figure:
    """Draws every setting in the three pairwise projections, and the part of the cube that each model takes.

    Above: filled points are on the frontier of all three scores, hollow ones are dominated, a ring is the default;
    lines bound what a model reaches in two scores. Below: the volume between the origin and the frontier.
    """
    rows = max(1, -(-len(frontier.models) // _ROW))
    columns = min(_ROW, max(1, len(frontier.models)))
    height = 0.5 + _FLAT + 0.55 + rows * _CUBE
    figure = Figure(figsize=(WIDTH, height))
    flat = figure.add_gridspec(1, 3, left=0.055, right=0.99, top=1 - 0.5 / height, bottom=1 - (0.5 + _FLAT) / height)
    ranges = {axis: _range(frontier, place) for place, axis in enumerate(AXES)}
    for column, pair in enumerate(PAIRS):
        _projection(figure.add_subplot(flat[column]), frontier, pair, ranges)
    _legend(figure, frontier)
    cubes = figure.add_gridspec(
        rows, columns, left=0.01, right=0.97, bottom=0.02, top=rows * _CUBE / height, wspace=0.1
    )
    for place, model in enumerate(frontier.models):
        _cube(figure.add_subplot(cubes[divmod(place, columns)], projection="3d"), model, _look(place)[0])
    return figure


def trade_figure(frontier: Frontier) -> Figure:
    """Draws precision and coverage against each swept knob, one panel a knob, among all images and within prompts.

    Pale lines have the other knobs elsewhere than at their defaults.
    """
    swept = [(model, knob) for model in frontier.models for knob in model.knobs]
    panels = [(model, knob) for model, knob in swept if any(trade.knob == knob for trade in model.trades)]
    rows = max(1, -(-len(panels) // _ROW))
    height = 0.3 + rows * (_TRADE + 0.75)
    figure = Figure(figsize=(WIDTH, height))
    grid = figure.add_gridspec(
        rows, _ROW, left=0.05, right=0.99, top=1 - 0.6 / height, bottom=0.5 / height, wspace=0.25, hspace=0.35
    )
    for place, (model, knob) in enumerate(panels):
        _trades(figure.add_subplot(grid[divmod(place, _ROW)]), model, knob, legend=place == 0)
    return figure


def _look(place: int) -> tuple[str, str]:
    """Returns colour and marker of a model by its place."""
    return PALETTE[place % len(PALETTE)], MARKERS[place % len(MARKERS)]


def _range(frontier: Frontier, axis: int) -> tuple[float, float]:
    """Returns limits that hold all points, on whole scores."""
    values = [point[axis] for model in frontier.models for point in _points(model.settings)]
    if not values:
        return 0.0, _EDGE
    return math.floor(min(values) - 0.25), min(_EDGE + 0.4, math.ceil(max(values) + 0.25))


def _points(settings: Sequence[Setting]) -> list[tuple[float, float, float]]:
    return [point for setting in settings if (point := setting.point()) is not None]


def _projection(axes: Axes, frontier: Frontier, pair: tuple[str, str], ranges: dict[str, tuple[float, float]]) -> None:
    bare(axes)
    across, up = pair
    axes.set(xlim=ranges[across], ylim=ranges[up], xlabel=f"{across} →", ylabel=f"{up} →")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MultipleLocator(1))
    for place, model in enumerate(frontier.models):
        points = np.array(_points(model.settings)).reshape(-1, len(AXES))
        _staircase(axes, points[:, [AXES.index(across), AXES.index(up)]], _look(place)[0])
        for setting in model.settings:
            _setting(axes, setting, pair, _look(place))


def _staircase(axes: Axes, points_K2: NDArray[np.float64], color: str) -> None:
    """Bounds what the points reach: from the vertical axis down to the horizontal one."""
    kept = points_K2[non_dominated(points_K2)]
    if not len(kept):
        return
    kept = kept[np.argsort(kept[:, 0])]
    x = np.concatenate([[0.0], kept[:, 0], kept[-1:, 0]])
    y = np.concatenate([kept[:1, 1], kept[:, 1], [0.0]])
    axes.step(x, y, where="pre", color=color, linewidth=1.2, alpha=0.75)


def _setting(axes: Axes, setting: Setting, pair: tuple[str, str], look: tuple[str, str]) -> None:
    x, y = (setting.numbers[axis] for axis in pair)
    if setting.point() is None or x.value is None or y.value is None:
        return
    color, marker = look
    on = setting.state == "frontier"
    if on:
        axes.errorbar(x.value, y.value, xerr=x.se, yerr=y.se, color=color, elinewidth=0.9, alpha=0.6)
    axes.plot(
        x.value, y.value, marker=marker, markersize=6.0 if on else 4.5, linestyle="", markeredgecolor=color,
        markerfacecolor=color if on else "none", markeredgewidth=0.9, alpha=1.0 if on else 0.75,
    )  # fmt: skip
    if setting.default:
        axes.plot(x.value, y.value, marker="o", markersize=12, markeredgecolor=INK, **_HOLLOW)


def _legend(figure: Figure, frontier: Frontier) -> None:
    looks = [_look(place) for place in range(len(frontier.models))]
    handles = [
        Line2D([], [], color=color, marker=marker, label=model.model, linestyle="", markersize=6)
        for model, (color, marker) in zip(frontier.models, looks, strict=True)
    ]
    handles += [
        Line2D([], [], color=INK, marker="o", label=label, markersize=size, **_HOLLOW)
        for label, size in (("dominated", 4.5), ("default", 11))
    ]
    figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.045, 1.0), ncols=len(handles), frameon=False, fontsize=9,
        labelcolor=INK, handletextpad=0.3, columnspacing=1.4,
    )  # fmt: skip


def _cube(axes: Any, model: ModelFrontier, color: str) -> None:
    points_K3 = np.array(_points(model.settings)).reshape(-1, len(AXES))
    _volume(axes, points_K3, color)
    axes.set(xlim=(0, _EDGE), ylim=(0, _EDGE), zlim=(0, _EDGE))
    axes.view_init(elev=24, azim=40)
    axes.set_box_aspect((1, 1, 1), zoom=0.95)
    for axis, name in zip((axes.xaxis, axes.yaxis, axes.zaxis), AXES, strict=True):
        # The corner where two axes end has one 10, not two.
        axis.set_ticks((0, 5, 10), labels=("0", "5", "" if name == "diversity" else "10"))
        axis.set_pane_color((1, 1, 1, 0))
        axis.line.set_color(INK)
        axis.line.set_alpha(0.4)
        axis.set_label_text(name, fontsize=8, color=INK)
        axis.labelpad = -9
    axes.tick_params(labelsize=7, labelcolor=INK, pad=-3)
    axes.patch.set_visible(False)
    found = model.hypervolume
    interval = f" [{share(found.low)}, {share(found.high)}]" if found.low is not None and found.high is not None else ""
    told = "no hypervolume" if found.value is None else f"{share(found.value)} of the cube{interval}"
    axes.set_title(f"{model.model}: {told}", fontsize=8.5, color=INK, y=0.97)


def _volume(axes: Any, points_K3: NDArray[np.float64], color: str) -> None:
    """Draws the union of the boxes between the origin and the points."""
    kept = points_K3[non_dominated(points_K3) & (points_K3 > 0).all(axis=1)]
    if not len(kept):
        return
    edges = [np.unique(np.append(kept[:, axis], 0.0)) for axis in range(3)]
    upper = np.meshgrid(*(edge[1:] for edge in edges), indexing="ij")
    filled = np.any([np.all([u <= side for u, side in zip(upper, one, strict=True)], axis=0) for one in kept], axis=0)
    corners = np.meshgrid(*edges, indexing="ij")
    light = LightSource(azdeg=75, altdeg=40)
    axes.voxels(*corners, filled, facecolors=_pale(color), edgecolors="white", linewidth=0.5, lightsource=light)


def _pale(color: str) -> tuple[float, float, float]:
    """Returns a colour half way to white: what stands in the shade of a solid keeps its hue."""
    red, green, blue = ((1 + part) / 2 for part in to_rgb(color))
    return red, green, blue


def _trades(axes: Axes, model: ModelFrontier, knob: str, *, legend: bool) -> None:
    bare(axes)
    by_entry = {setting.entry: setting for setting in model.settings}
    along = [trade for trade in model.trades if trade.knob == knob]
    through = [trade for trade in along if any(by_entry[entry].default for entry in trade.entries)]
    for trade in along:
        _line(axes, [by_entry[entry] for entry in trade.entries], trade, main=trade in (through or along))
    axes.set_title(model.model, loc="left", fontsize=10, fontweight="bold", color=INK)
    axes.set_xlabel(f"{knob} →")
    handles, labels = axes.get_legend_handles_labels()
    named = dict(zip(labels, handles, strict=True))
    if legend:
        axes.figure.legend(
            list(named.values()), list(named), loc="upper left", bbox_to_anchor=(0.045, 1.0), ncols=4, frameon=False,
            fontsize=8.5, labelcolor=INK,
        )  # fmt: skip


def _line(axes: Axes, settings: Sequence[Setting], trade: Trade, *, main: bool) -> None:
    """Draws one number along a knob; the line through the default stands out, or all where none goes through it."""
    within = trade.number not in BESIDE
    color, marker = _look(TRADED.index(trade.number) % len(BESIDE))
    numbers = [setting.numbers[trade.number] for setting in settings]
    axes.errorbar(
        [setting.knobs[trade.knob] for setting in settings],
        np.array([number.value for number in numbers], dtype=np.float64),
        yerr=[number.se or 0.0 for number in numbers],
        color=color, marker=marker, markersize=4.5 if main else 2.5, linewidth=1.6 if main else 0.8, elinewidth=0.9,
        linestyle="--" if within else "-", markerfacecolor="none" if within else color,
        alpha=1.0 if main else 0.3, capsize=2 if main else 0, label=trade.number.replace("_", " ") if main else None,
    )  # fmt: skip
