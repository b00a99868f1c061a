"""The report's figures: pure functions from tidy frames to matplotlib figures, without pyplot and its global state."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator, NullLocator

from trilemma.report.figure_style import INK, WIDTH, bare, look
from trilemma.report.labels import Label, place
from trilemma.report.names import label
from trilemma.report.room import legend_size
from trilemma.report.timed_calls import DECODER
from trilemma.statistics.frontier import non_dominated

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

PAIRS = (("quality", "diversity"), ("quality", "speed"), ("diversity", "speed"))
_RANGE = (-0.5, 10.5)
_CROWD = 12
"""From so many points on not all of them can be named."""
_LINE = 0.29  # inches: the height of one model's line


def trilemma_figure(table: pd.DataFrame) -> Figure:
    """Draws the three scores of every model and the three trade-offs between them.

    Args:
        table: the tidy scores of :func:`trilemma.report.tables.scores`. A NaN is a gap: its word stands in its place.

    Returns:
        Two rows of three panels: above, each score with its 95 % interval, one line per model (the upright bar is the
        speed at batch 1); below, the scores pair by pair. Controls are grey.
    """
    models = _models(table)
    figure = Figure(figsize=(WIDTH, 0.45 + _LINE * max(len(models), 3) + 4.33))
    upper = figure.add_gridspec(1, 3, **_rows(figure, models, top=0.42, height=_LINE * max(len(models), 3)))
    lower = figure.add_gridspec(1, 3, **_rows(figure, models, top=figure.get_figheight() - 3.65, height=3.1))
    for column, axis in enumerate(("quality", "diversity", "speed")):
        _strip(figure.add_subplot(upper[column]), table, models, axis, names=column == 0)
    for column, (horizontal, vertical) in enumerate(PAIRS):
        _scatter(figure.add_subplot(lower[column]), table, models, horizontal, vertical)
    return figure


def sweep_figure(table: pd.DataFrame) -> Figure:
    """Draws images per second against the batch size, one line per model, on logarithmic axes.

    Args:
        table: the frame of :func:`trilemma.report.tables.sweep`, one row per timed call.

    Returns:
        Medians with bars from the 25th to the 75th percentile of the calls; the reference decoder is a dashed line.
    """
    contestants = table[~table["reference"].astype(bool)]
    models = _models(contestants)
    width, height = legend_size([*(style["name"] for style in models.values()), DECODER])
    figure = Figure(figsize=(WIDTH, max(4.4, height)))
    inches = figure.get_figheight()
    axes = figure.add_axes((0.075, 0.57 / inches, 0.91 - width / WIDTH, 1 - 0.83 / inches))
    for model, style in models.items():
        _line(axes, contestants[contestants["model"] == model], style)
    _reference(axes, table[table["reference"].astype(bool)])
    _log_axes(axes, sorted(set(table["batch_size"])))
    if axes.has_data():
        axes.legend(frameon=False, fontsize=8.5, labelcolor=INK, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def _models(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Returns each model's style, in the order of the table."""
    return {
        str(row["model"]): look(str(row["model"]), place=int(row["place"]), control=bool(row["control"]))
        for row in table.drop_duplicates("model").to_dict("records")
    }


def _rows(figure: Figure, models: dict[str, dict[str, Any]], *, top: float, height: float) -> dict[str, float]:
    """Returns the place of a row of panels, ``top`` and ``height`` in inches from the figure's upper edge."""
    whole = figure.get_figheight()
    letters = max([len(style["name"]) for style in models.values()], default=0)
    return {
        "left": (0.35 + 0.082 * min(letters, 28)) / WIDTH,
        "right": 0.99,
        "top": 1 - top / whole,
        "bottom": 1 - (top + height) / whole,
        "wspace": 0.2,
    }


def _strip(axes: Axes, table: pd.DataFrame, models: dict[str, dict[str, Any]], axis: str, *, names: bool) -> None:
    for position, (model, style) in enumerate(models.items()):
        row = _one(table, model, axis)
        if axis == "speed":
            _mark(axes, _one(table, model, "speed_batch1"), position, style, marker="|")
        if not _mark(axes, row, position, style):
            word = str(row.get("status", "not measured"))
            axes.text(0.1, position, word, va="center", fontsize=8, style="italic", color=INK, alpha=0.7)
    axes.set(xlim=_RANGE, ylim=(len(models) - 0.4, -0.6))
    axes.set_yticks(range(len(models)), [style["name"] for style in models.values()] if names else [""] * len(models))
    axes.set_title(axis.capitalize(), loc="left", fontsize=11.5, fontweight="bold", color=INK)
    if axis == "speed":
        axes.set_title("● best batch    | batch 1", loc="right", fontsize=8, color=INK, alpha=0.8)
    _scale(axes.xaxis)
    bare(axes)


def _mark(axes: Axes, row: dict[str, Any], position: int, style: dict[str, Any], *, marker: str = "") -> bool:
    score = row.get("score", np.nan)
    if not np.isfinite(score):
        return False
    axes.errorbar(
        score, position, xerr=_bar(row), color=style["color"], marker=marker or style["marker"], elinewidth=1.2,
        markersize=10 if marker else style["size"], markeredgewidth=1.6 if marker else 0, capsize=2,
    )  # fmt: skip
    return True


def _scatter(
    axes: Axes, table: pd.DataFrame, models: dict[str, dict[str, Any]], horizontal: str, vertical: str
) -> None:
    axes.set(xlim=_RANGE, ylim=_RANGE, xlabel=f"{horizontal} →", ylabel=f"{vertical} →")
    labels, controls = [], 0
    # The controls are drawn first, so that they lie under the models.
    for model, style in sorted(models.items(), key=lambda item: not item[1]["control"]):
        x, y = _one(table, model, horizontal), _one(table, model, vertical)
        if np.isfinite(x.get("score", np.nan)) and np.isfinite(y.get("score", np.nan)):
            axes.errorbar(
                x["score"], y["score"], xerr=_bar(x), yerr=_bar(y), color=style["color"], marker=style["marker"],
                markersize=style["size"], markeredgewidth=0, elinewidth=1.1, capsize=2,
            )  # fmt: skip
            labels.append(Label(text=label(model), x=x["score"], y=y["score"], color=style["color"]))
            controls += style["control"]
    if not labels:
        axes.text(5, 5, "no model has both scores", ha="center", fontsize=8.5, style="italic", color=INK, alpha=0.7)
    _scale(axes.xaxis)
    _scale(axes.yaxis)
    bare(axes)
    points = [(one.x, one.y) for one in labels]
    if len(labels) > _CROWD:
        labels = _best(labels[controls:])
        axes.set_title("named: beaten by none in both", loc="right", fontsize=8, color=INK, alpha=0.8)
    named = {(one.x, one.y) for one in labels}
    place(axes, labels[::-1], [point for point in points if point not in named])


def _best(labels: list[Label]) -> list[Label]:
    """Returns those of points that no other beats in both coordinates."""
    best = non_dominated(np.array([(one.x, one.y) for one in labels]).reshape(-1, 2))
    return [one for one, kept in zip(labels, best, strict=True) if kept]


def _one(table: pd.DataFrame, model: str, axis: str) -> dict[str, Any]:
    found = table[(table["model"] == model) & (table["axis"] == axis)]
    return {} if found.empty else {str(key): value for key, value in found.iloc[0].items()}


def _bar(row: dict[str, Any]) -> list[list[float]] | None:
    """Returns the interval as distances below and above the score, or None where there is none."""
    low, high = row["score"] - row["ci_low"], row["ci_high"] - row["score"]
    # A clipped score may lie outside its unclipped interval: that side has no bar.
    return [[max(low, 0.0)], [max(high, 0.0)]] if np.isfinite(low) and np.isfinite(high) else None


def _line(axes: Axes, rows: pd.DataFrame, style: dict[str, Any]) -> None:
    sns.lineplot(
        rows, x="batch_size", y="images_per_second", estimator="median", errorbar=("pi", 50), err_style="bars",
        ax=axes, color=style["color"], marker=style["marker"], markersize=style["size"], markeredgewidth=0,
        linewidth=1.0 if style["control"] else 1.8, linestyle=style["line"], label=style["name"],
    )  # fmt: skip


def _reference(axes: Axes, rows: pd.DataFrame) -> None:
    if rows.empty:
        return
    sns.lineplot(
        rows, x="batch_size", y="images_per_second", estimator="median", errorbar=None,
        ax=axes, color=INK, alpha=0.7, linestyle="--", linewidth=1.2, label=DECODER,
    )  # fmt: skip


def _log_axes(axes: Axes, sizes: Iterable[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    ticks = list(sizes)
    axes.set_xticks(ticks, [f"{size:,}" for size in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.set(xlabel="batch size", ylabel="images per second →")
    bare(axes)


def _scale(axis: Any) -> None:
    axis.set_major_locator(MultipleLocator(2))
