"""The printed figure of orders: the place of every model under every measure, one panel per axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from trilemma.report.figure_style import INK, MARKERS, PALETTE, WIDTH, bare
from trilemma.report.names import label
from trilemma.report.orders import order

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from trilemma.report.measures import Measure
    from trilemma.report.record import Run

_LINE = 0.27


def order_figure(run: Run, found: dict[str, list[Measure]], models: list[str]) -> Figure:
    """Draws the order of the models, the best on the left, under each measure, from above the first one, the score."""
    axes_found = [axis for axis in found if found[axis]]
    rows = max(len(found[axis]) for axis in axes_found)
    figure = Figure(figsize=(WIDTH, 0.9 + _LINE * (rows + 1)))
    panels = figure.subplots(1, len(axes_found), squeeze=False)[0]
    for panel, axis in zip(panels, axes_found, strict=True):
        _panel(panel, run, found[axis], models, rows)
        panel.set_title(axis.capitalize(), loc="left", fontsize=11.5, fontweight="bold", color=INK, pad=16)
    figure.subplots_adjust(left=0.16, right=0.99, wspace=0.8, top=1 - 0.62 / figure.get_figheight(), bottom=0.02)
    return figure


def _panel(panel: Axes, run: Run, found: list[Measure], models: list[str], rows: int) -> None:
    table = _places(found, models)
    last = table["place"].max()
    for model, places in table.groupby("model", sort=False):
        number = run.place(str(model))
        sns.lineplot(
            places, x="place", y="row", orient="y", sort=False, estimator=None, ax=panel, legend=False,
            color=PALETTE[number % len(PALETTE)], marker=MARKERS[number % len(MARKERS)], markersize=6.5,
            markeredgewidth=0,
        )  # fmt: skip
        first = places.iloc[0]
        panel.annotate(
            label(str(model)), (first["place"], first["row"]), xytext=(0, 7), textcoords="offset points", color=INK,
            fontsize=8, ha="center" if last < 6 else "left", rotation=0 if last < 6 else 40,
        )  # fmt: skip
    panel.set(xlim=(0.5, max(last, 2) + 0.5), ylim=(rows - 0.4, -0.6), xlabel="", ylabel="")
    panel.set_yticks(range(len(found)), [label(measure.label) for measure in found])
    panel.set_xticks([])
    bare(panel)
    panel.grid(False)


def _places(found: list[Measure], models: list[str]) -> pd.DataFrame:
    rows = [
        {"model": model, "row": row, "place": place}
        for row, measure in enumerate(found)
        for place, model in enumerate(order(measure, models), start=1)
    ]
    return pd.DataFrame(rows, columns=["model", "row", "place"])
