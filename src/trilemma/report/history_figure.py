"""A figure of series over runs: values with their intervals, and the occasions that explain them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from trilemma.report.figure_style import INK, PALETTE, WIDTH, bare
from trilemma.report.history_texts import BETTER, change, title
from trilemma.report.labels import Label, place
from trilemma.report.numbers import MINUS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from trilemma.tracking.history import History, Point, Step

# Inches: a panel, what stands above it and below all of them, the margins, one line of notes, and one letter of it.
_PANEL, _TITLE, _BELOW, _LEFT, _RIGHT = 2.1, 0.52, 0.62, 0.75, 1.15
_ACROSS = WIDTH - _LEFT - _RIGHT
_LINE, _LETTER = 0.15, 0.062
_NAME = 16
"""Letters of a baseline's name that the margin holds."""
_ROWS = 4
"""Of notes; the table has those that find no room."""
_MOST_BARS = 120
"""Points beyond which intervals are drawn as a band."""
_TICKS = 7


@dataclass(frozen=True, kw_only=True)
class _Note:
    """What changed before the run at ``x``; written in a row above the panel, to the left or the right of its line."""

    x: float
    text: str
    row: int
    leftwards: bool


def history_figure(histories: Sequence[History]) -> Figure:
    """Draws one panel per series over the same runs, oldest at the left, equally spaced.

    Points are joined where they are comparable and nothing failed in between. Rings are runs of baselines, and dotted
    lines their means; upright lines say what changed; crosses are runs without a value; bold lines are the levels of a
    series that steps.
    """
    runs = sorted({point.seen.run_id for history in histories for point in history.points})
    at = {run: place for place, run in enumerate(runs)}
    notes = [_notes(history.points, at) for history in histories]
    above = [_TITLE + _LINE * len({note.row for note in found}) for found in notes]
    height = len(histories) * _PANEL + sum(above) + _BELOW
    figure, top = Figure(figsize=(WIDTH, height)), height
    for history, found, space in zip(histories, notes, above, strict=True):
        top -= space + _PANEL
        axes = figure.add_axes((_LEFT / WIDTH, top / height, _ACROSS / WIDTH, _PANEL / height))
        _panel(axes, history, at, found)
        _dates(axes, runs, histories, shown=history is histories[-1])
    foot: dict[str, Any] = {"fontsize": 8, "color": INK, "alpha": 0.8, "va": "bottom"}
    figure.text(_LEFT / WIDTH, 0.12 / height, _legend(histories), **foot)
    return figure


def _panel(axes: Axes, history: History, at: dict[str, int], notes: Sequence[_Note]) -> None:
    bare(axes)
    x = [at[point.seen.run_id] for point in history.points]
    few = len(history.points) <= _MOST_BARS
    for piece in _pieces(history.points):
        _piece(axes, [x[i] for i in piece], [history.points[i] for i in piece], few=few)
    axes.set_xlim(*_range(at))
    axes.margins(y=0.12)
    _gaps(axes, [x[i] for i, point in enumerate(history.points) if point.line is None])
    _baselines(axes, x, history.points)
    _levels(axes, x, history)
    for note in notes:
        _write(axes, note)
    pad = 72 * (0.1 + _LINE * len({note.row for note in notes}))
    axes.set_title(title(history), loc="left", fontsize=10.5, fontweight="bold", color=INK, pad=pad)
    axes.set_title(BETTER[history.metric.direction], loc="right", fontsize=8, color=INK, alpha=0.8, pad=pad)
    _values(axes, history.metric.unit)


def _pieces(points: Sequence[Point]) -> Iterator[list[int]]:
    """Yields the places of points that may be joined: of one line, with no run without a value in between."""
    gaps = 0
    keys: dict[int, tuple[int, int]] = {}
    for place_, point in enumerate(points):
        gaps += point.line is None
        if point.line is not None:
            keys[place_] = (point.line, gaps)
    for _, places in groupby(sorted(keys, key=lambda p: (*keys[p], p)), key=keys.__getitem__):
        yield list(places)


def _piece(axes: Axes, x: list[int], points: Sequence[Point], *, few: bool) -> None:
    color = _color(points[0])
    y = [_value(point) for point in points]
    intervals = [point.seen.ci or (_value(point), _value(point)) for point in points]
    low, high = zip(*intervals, strict=True)
    if few:
        axes.vlines(x, low, high, color=color, linewidth=1.1, alpha=0.55)
    else:
        axes.fill_between(x, low, high, color=color, linewidth=0, alpha=0.22)
    axes.plot(x, y, color=color, linewidth=0.9, alpha=0.7)
    axes.plot(x, y, color=color, linestyle="", marker="o", markersize=4.2 if few else 1.8, markeredgewidth=0)


def _gaps(axes: Axes, x: list[int]) -> None:
    where: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "clip_on": False}
    axes.plot(x, [0.035] * len(x), color=INK, linestyle="", marker="x", markersize=5.5, markeredgewidth=1.5, **where)


def _baselines(axes: Axes, x: list[int], points: Sequence[Point]) -> None:
    """Rings, and a dotted line at each baseline's mean; it fades where no run can be held to it any more."""
    right = axes.get_xlim()[1]
    ends = []
    for name in sorted({name for point in points for name in point.baselines}):
        own = [i for i, point in enumerate(points) if name in point.baselines and point.line is not None]
        if not own:
            continue
        values = [_value(points[i]) for i in own]
        level = sum(values) / len(values)
        last = max(x[i] for i, point in enumerate(points) if point.line == points[own[0]].line) + 0.5
        ring: dict[str, Any] = {"marker": "o", "markersize": 9, "markerfacecolor": "none", "markeredgecolor": INK}
        axes.plot([x[i] for i in own], values, linestyle="", markeredgewidth=1.2, **ring)
        dots: dict[str, Any] = {"color": INK, "linestyle": (0, (1, 2.5)), "linewidth": 1.1}
        axes.plot([x[own[0]], last], [level, level], **dots)
        axes.plot([last, right], [level, level], alpha=0.3, **dots)
        ends.append((level, name))
    _at_the_end(axes, ends)


def _at_the_end(axes: Axes, ends: list[tuple[float, str]]) -> None:
    """Writes names behind the lines that they belong to, pushed apart where they would cover each other."""
    low, high = axes.get_ylim()
    least = 0.14 / _PANEL * (high - low)
    above = low - least
    for level, name in sorted(ends):
        above = max(level, above + least)
        text = name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"
        axes.annotate(
            text, (axes.get_xlim()[1], above), xytext=(5, 0), textcoords="offset points", va="center", fontsize=8,
            color=INK, annotation_clip=False,
        )  # fmt: skip


def _levels(axes: Axes, x: list[int], history: History) -> None:
    """Levels of what steps, under the points; a series that stays needs none."""
    stepped = {(history.points[step.at].line, history.points[step.at].seen.hardware) for step in history.steps}
    for stretch in history.stretches:
        first = history.points[stretch.points[0]]
        if (first.line, first.seen.hardware) in stepped:
            ends = [x[stretch.points[0]] - 0.4, x[stretch.points[-1]] + 0.4]
            axes.plot(ends, [stretch.value] * 2, color=INK, linewidth=2.4, solid_capstyle="butt", zorder=1.8)
    place(axes, [_step_label(x, history, step) for step in history.steps])


def _step_label(x: list[int], history: History, step: Step) -> Label:
    """Above the interval of the first run of the new level, where its name covers little."""
    seen = history.points[step.at].seen
    top = seen.ci[1] if seen.ci is not None else step.after
    return Label(text=f"step {change(step)}", x=x[step.at], y=max(top, step.before), color=INK)


def _notes(points: Sequence[Point], at: dict[str, int]) -> list[_Note]:
    """One where a machine or an identity is new; coming back to a known one shows by its colour."""
    seen: set[tuple[int | None, str | None]] = set()
    ends: list[float] = []
    notes: list[_Note] = []
    for point in points:
        key = (point.line, point.seen.hardware)
        if point.changes and key not in seen:
            notes.append(_note(at[point.seen.run_id] - 0.5, "; ".join(point.changes), ends, _range(at)))
        if point.line is not None:
            seen.add(key)
    return notes


def _note(x: float, text: str, ends: list[float], across: tuple[float, float]) -> _Note:
    """Finds the lowest row with room, or leaves the line without words; ``ends`` are where rows are taken up to."""
    inches = (x - across[0]) / (across[1] - across[0]) * _ACROSS
    length = _LETTER * len(text)
    leftwards = inches + length > _ACROSS + _RIGHT
    start = inches - length if leftwards else inches
    row = next((row for row, end in enumerate(ends) if end < start), len(ends))
    if row == _ROWS:
        return _Note(x=x, text="", row=0, leftwards=leftwards)
    ends[row : row + 1] = [start + length + 0.1]
    return _Note(x=x, text=text, row=row, leftwards=leftwards)


def _write(axes: Axes, note: _Note) -> None:
    axes.axvline(note.x, color=INK, linewidth=0.9, alpha=0.5)
    axes.annotate(
        note.text, (note.x, 1.0), xycoords=("data", "axes fraction"), textcoords="offset points",
        xytext=(-2 if note.leftwards else 2, 2 + 72 * _LINE * note.row), ha="right" if note.leftwards else "left",
        va="bottom", fontsize=7.5, color=INK, alpha=0.9, annotation_clip=False,
    )  # fmt: skip


def _range(at: dict[str, int]) -> tuple[float, float]:
    return -0.7, len(at) - 0.3


def _values(axes: Axes, unit: str) -> None:
    """Ticks with the digits that tell them apart."""
    low, high = axes.get_ylim()
    scale, suffix = (2.0**20, " MiB") if unit == "bytes" else (1e6, " M") if high > 1e7 else (1.0, "")
    digits = max(0, math.ceil(-math.log10((high - low) / scale / 5)))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value / scale:,.{digits}f}{suffix}".replace("-", MINUS))
    )


def _dates(axes: Axes, runs: Sequence[str], histories: Sequence[History], *, shown: bool) -> None:
    created = {point.seen.run_id: point.seen.created for history in histories for point in history.points}
    every = max(1, -(-len(runs) // _TICKS))
    ticks = range(0, len(runs), every)
    moments = [created[runs[i]] or "" for i in ticks]
    days = [moment[:10] for moment in moments]
    texts = days if len(set(days)) == len(days) else [moment[5:16].replace("T", " ") for moment in moments]
    axes.set_xticks(list(ticks), texts if shown else [""] * len(texts))


def _legend(histories: Sequence[History]) -> str:
    points = [point for history in histories for point in history.points]
    parts = ["one point a run, with its 95 % interval"]
    parts += ["○ run of a baseline, dotted its mean"] if any(point.baselines for point in points) else []
    parts += ["× no value"] if any(point.line is None for point in points) else []
    parts += ["▬ levels between steps: advisory, no verdict"] if any(history.steps for history in histories) else []
    return "   ".join(parts)


def _color(point: Point) -> str:
    return PALETTE[(point.line or 0) % len(PALETTE)]


def _value(point: Point) -> float:
    value = point.seen.value
    assert value is not None
    return value
