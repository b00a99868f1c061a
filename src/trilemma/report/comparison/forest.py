"""A model's differences as a forest plot: in units of their margins, so that all metrics share one axis."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from trilemma.report.comparison.outcome import WORDS, counts, title_of
from trilemma.report.figure_style import GREY, INK, PALETTE, WIDTH, bare
from trilemma.report.names import brief, label
from trilemma.report.numbers import MINUS, count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from trilemma.tracking.judged import Judged

# By word, so that nothing is told by its colour alone: marker, colour and the sign of the table.
MARKERS: Mapping[str, str] = {"regressed": "v", "improved": "^", "unchanged": "o", "undecided": "D"}
COLORS: Mapping[str, str] = {
    "regressed": PALETTE[1],
    "improved": PALETTE[0],
    "unchanged": GREY,
    "undecided": PALETTE[4],
}
SIGNS: Mapping[str, str] = {
    "regressed": "▼",
    "improved": "▲",
    "unchanged": "●",
    "undecided": "◆",
    "incomparable": "≠",
    "invalid": "!",
    "missing": "–",
    "new": "+",
}
_LINE, _ABOVE, _BELOW, _RIGHT = 0.21, 0.42, 0.42, 1.35  # inches
_LEAST, _MOST = 3.0, 1000.0
_TICKS = (1, 3, 10, 30, 100, 300, 1000)


def is_drawn(one: Judged) -> bool:
    """Whether a series has a difference with bounds, and a margin to measure it by."""
    numbers = (one.worse, one.decision.lower, one.decision.upper, one.margin or None)
    known = all(number is not None and math.isfinite(number) for number in numbers)
    return known and WORDS[one.verdict] in MARKERS


def description(model: str, series: Sequence[Judged]) -> str:
    """Returns what a reader is told who does not see the figure."""
    found = ", ".join(f"{count(number)} {word}" for word, number in counts(series).items())
    return f"{brief(model)}: differences of {count(len(series))} series with their bounds: {found}; as in the table."


def forest_figure(series: Sequence[Judged]) -> Figure:
    """Draws the series of :func:`is_drawn` from above in their order, better to the right.

    Each has its difference and the one-sided bounds at 99 %, divided by its margin: within the shaded band from −1 to 1
    a difference does not matter. The axis is linear there and logarithmic beyond; what lies beyond a thousand margins
    is drawn at the edge.
    """
    table = _table(series)
    longest = max(len(name) for name in table["name"])
    left = 0.3 + 0.075 * longest
    height = _ABOVE + _LINE * len(table) + _BELOW
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.add_axes((left / WIDTH, _BELOW / height, 1 - (left + _RIGHT) / WIDTH, 1 - (_ABOVE + _BELOW) / height))
    _scale(axes, table)
    axes.axvspan(-1, 1, color=INK, alpha=0.07, linewidth=0)
    axes.axvline(0, color=INK, alpha=0.5, linewidth=0.9)
    axes.hlines(table["row"], table["low"], table["high"], colors=table["color"].tolist(), linewidth=1.7)
    sns.scatterplot(
        table, x="moved", y="row", hue="word", style="word", palette=dict(COLORS), markers=dict(MARKERS), s=46,
        linewidth=0, zorder=3, legend=False, ax=axes,
    )  # fmt: skip
    _letters(axes, table)
    return figure


def _table(series: Sequence[Judged]) -> pd.DataFrame:
    rows = [
        {"row": row, "name": label(title_of(one.metric)), "verdict": one.verdict, "gated": one.gated}
        | {"word": WORDS[one.verdict], "color": COLORS[WORDS[one.verdict]]}
        | dict(zip(("low", "moved", "high"), _in_margins(one), strict=True))
        for row, one in enumerate(series)
    ]
    return pd.DataFrame(rows)


def _in_margins(one: Judged) -> tuple[float, float, float]:
    """Returns the difference between its bounds, turned so that more is better."""
    margin, low, high = one.margin, one.decision.lower, one.decision.upper
    assert margin and one.worse is not None and low is not None and high is not None
    lower, moved, upper = (max(-_MOST, min(_MOST, -value / margin)) for value in (high, one.worse, low))
    return lower, moved, upper


def _scale(axes: Axes, table: pd.DataFrame) -> None:
    reach = max(_LEAST, float(table[["low", "high"]].abs().max().max()))
    ticks = [tick for tick in _TICKS if tick <= reach]
    axes.set_xscale("symlog", linthresh=1.0, linscale=0.8)
    axes.set(xlim=(-1.25 * reach, 1.25 * reach), ylim=(len(table) - 0.4, -0.6))
    axes.xaxis.set_major_locator(FixedLocator([*(-tick for tick in reversed(ticks)), 0, *ticks]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}".replace("-", MINUS))


def _letters(axes: Axes, table: pd.DataFrame) -> None:
    axes.set(xlabel="difference, in margins", ylabel="")
    axes.set_yticks(table["row"].tolist(), table["name"].tolist())
    beside: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 8, "color": INK}
    for row in table.to_dict("records"):
        axes.text(1.012, row["row"], row["verdict"] if row["gated"] else f"({row['verdict']})", **beside)
    bare(axes)
    axes.grid(visible=False, axis="y")
    where: dict[str, Any] = {"transform": axes.transAxes, "fontsize": 8.5, "color": INK, "va": "bottom"}
    above = 1 + 0.08 / (_LINE * len(table))
    for x, side, text in ((0.0, "left", "← worse"), (0.5, "center", "does not matter"), (1.0, "right", "better →")):
        axes.text(x, above, text, ha=side, **where)
