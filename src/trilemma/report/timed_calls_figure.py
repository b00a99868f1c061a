"""The figures of timed calls: every call a point, window by window, one panel for each model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from trilemma.report.figure_style import INK, WIDTH, bare, look
from trilemma.report.numbers import count
from trilemma.report.room import log_ticks
from trilemma.report.timed_calls import COUNTED, DECODER, KINDS, UNTIMED, VOID, WARMUP, Window

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

COLUMNS = 3
PANELS = 12
"""In one figure: so much fits a printed page."""
MOST = 3000
"""Points on a page, about: each takes a hundred bytes of it."""
_LEAST = 8  # of a window, however many windows there are
_HEIGHT, _TOP = 1.75, 0.55  # inches: a row of panels, and what stands above them
_HALF = 0.42  # of a window's width, whose place is a whole number
_CROWD = 8
"""From so many windows on their names stand upright."""
_SHORT = {"first_call": "first", "single_stream": "single"}


def call_figures(frame: pd.DataFrame, windows: Sequence[Window], most: int = MOST) -> list[Figure]:
    """Draws every timed call in milliseconds per image, in the order of the calls; a figure for each dozen of models.

    Args:
        frame: what :func:`trilemma.report.timed_calls.calls` returns. windows: those of it, and those without times.
        most: points in all figures together, about. Where there are more, a window shows evenly spaced ones and always
            its slowest, its fastest and what is void.
    """
    models = list(dict.fromkeys(window.model for window in windows))
    each = max(_LEAST, most // max(len(windows), 1))
    return [_figure(frame, windows, models[start : start + PANELS], each) for start in range(0, len(models), PANELS)]


def thinned(rows: pd.DataFrame, most: int) -> pd.DataFrame:
    """Returns ``most`` evenly spaced rows of a window, and beside them the slowest, the fastest and void ones."""
    if len(rows) <= most:
        return rows
    kept = set(np.linspace(0, len(rows) - 1, most).round().astype(int).tolist())
    times = rows["milliseconds"].to_numpy()
    kept |= {int(times.argmin()), int(times.argmax())}
    kept |= set(np.flatnonzero((rows["kind"] == VOID).to_numpy())[:most].tolist())
    return rows.iloc[sorted(kept)]


def _figure(frame: pd.DataFrame, windows: Sequence[Window], models: list[str], each: int) -> Figure:
    rows = -(-len(models) // COLUMNS)
    height = _TOP + _HEIGHT * rows + 0.1
    figure = Figure(figsize=(WIDTH, height))
    grid = figure.add_gridspec(
        rows, COLUMNS, left=0.055, right=0.995, top=1 - _TOP / height, bottom=0.32 / height, wspace=0.17, hspace=0.5
    )
    for number, model in enumerate(models):
        own = [window for window in windows if window.model == model]
        _panel(figure.add_subplot(grid[divmod(number, COLUMNS)]), frame[frame["model"] == model], own, each)
    _legend(figure)
    return figure


def _panel(axes: Axes, frame: pd.DataFrame, windows: Sequence[Window], each: int) -> None:
    style = _style(frame, windows[0].model)
    axes.set_yscale("log")
    for place, window in enumerate(windows):
        rows = frame[(frame["scenario"] == window.scenario) & (frame["batch_size"] == window.batch_size)]
        _window(axes, place, window, rows, style, each)
    times = frame["milliseconds"]
    if len(times):
        low, high = _limits(float(times.min()), float(times.max()))
        axes.set_ylim(low, high)
        log_ticks(axes.yaxis, low, high)
    else:
        axes.set_yticks([])
    names = [_SHORT.get(window.scenario, count(window.batch_size)) for window in windows]
    axes.set_xticks(range(len(windows)), names, rotation=90 if len(windows) > _CROWD else 0)
    axes.set_xlim(-0.6, len(windows) - 0.4)
    axes.set_title(style["name"], loc="left", fontsize=9.5, fontweight="bold", color=INK)
    bare(axes)
    axes.grid(visible=False, axis="x")
    axes.tick_params(labelsize=7.5)


def _limits(least: float, most: float) -> tuple[float, float]:
    """Returns the ends of a logarithmic axis with a margin at both."""
    margin = max((most / least) ** 0.07, 1.02)
    return least / margin, most * margin


def _style(frame: pd.DataFrame, model: str) -> dict[str, Any]:
    if model == DECODER or frame.empty:
        return look(model, place=0, control=False) | {"color": INK}
    first = frame.iloc[0]
    return look(model, place=int(first["place"]), control=bool(first["control"]))


def _window(axes: Axes, place: int, window: Window, rows: pd.DataFrame, style: dict[str, Any], each: int) -> None:
    if rows.empty:
        axes.text(
            place, 0.5, UNTIMED.get(window.ended, "no times"), transform=axes.get_xaxis_transform(), rotation=90,
            ha="center", va="center", fontsize=7.5, style="italic", color=INK, alpha=0.75,
        )  # fmt: skip
        return
    placed = rows.assign(x=_places(place, rows))
    if window.counted > 1 and window.lower is not None and window.upper is not None and window.median is not None:
        span = [place - _HALF, place + _HALF]
        axes.fill_between(span, window.lower, window.upper, color=style["color"], alpha=0.22, linewidth=0)
        axes.plot(span, [window.median] * 2, color=INK, linewidth=1.1, zorder=1.5)
    shown = thinned(placed, each)
    for kind in KINDS:
        points = shown[shown["kind"] == kind]
        axes.plot(points["x"], points["milliseconds"], **_mark(kind, style["color"]))
    for _, own in placed[placed["kind"] == COUNTED].groupby("process") if window.processes > 1 else ():
        ends = [own["x"].min(), own["x"].max()]
        axes.plot(ends, [own["milliseconds"].median()] * 2, color=INK, linewidth=0.8, alpha=0.7, zorder=1.5)


def _places(place: int, rows: pd.DataFrame) -> pd.Series[float]:
    """Returns where the calls of a window stand: process after process, in each in the order of its calls."""
    processes = rows["process"].rank(method="dense") - 1
    within = (rows["number"] - 0.5) / rows.groupby("process")["number"].transform("max")
    share: pd.Series[float] = (processes + 0.06 + 0.88 * within) / (processes.max() + 1)
    return place - _HALF + 2 * _HALF * share


def _mark(kind: str, color: str) -> dict[str, Any]:
    common: dict[str, Any] = {"linestyle": "", "zorder": 2}
    if kind == WARMUP:
        return common | {"marker": "o", "markersize": 3.6, "markerfacecolor": "none", "markeredgecolor": color}
    if kind == VOID:
        return common | {"marker": "x", "markersize": 4.2, "color": INK, "markeredgewidth": 0.9}
    return common | {"marker": "o", "markersize": 2.6, "color": color, "markeredgewidth": 0, "alpha": 0.75}


def _legend(figure: Figure) -> None:
    handles = [Line2D([], [], label=kind, **_mark(kind, INK)) for kind in KINDS]
    handles.append(Line2D([], [], color=INK, linewidth=1.1, label="median of the counted calls"))
    band = Patch(facecolor=INK, alpha=0.22, label="their middle half")
    figure.legend(
        handles=[*handles, band], loc="upper left", bbox_to_anchor=(0.045, 1.0), ncols=5, frameon=False, fontsize=8.5,
        labelcolor=INK, handletextpad=0.4, columnspacing=1.6,
    )  # fmt: skip
