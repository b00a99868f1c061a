"""The figure of the section "At real size": published FID and recall over images per second measured here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from trilemma.report.figure_style import GREY, INK, PALETTE, WIDTH, bare
from trilemma.report.labels import Label, place
from trilemma.report.real_size import Group, Match

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FAMILIES = {
    "gan": "GAN",
    "vq-ar": "next token",
    "coarse-to-fine-ar": "next scale",
    "latent-diffusion": "latent diffusion",
    "diffusion": "diffusion",
    "masked": "masked",
}
STOPS = 12  # along a line, for the names to keep away from it
MARKERS = ("o", "s", "D", "^", "v", "P", "X")


def real_size_figure(group: Group) -> Figure:
    """Draws one benchmark of the literature: FID (upside down, so that up is better) and recall over images per second.

    A point is a model at one setting beside one published row; the points of one network and row are joined. Colours
    are families, markers settings.
    """
    matches = group.timed
    figure = Figure(figsize=(WIDTH, 4.6))
    left, right = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.07, right=0.985, top=0.9, bottom=0.23, wspace=0.2)
    _panel(left, matches, "fid", "published FID, lower is better ↑")
    left.set_yscale("log")
    left.invert_yaxis()
    _plain(left.yaxis)
    _panel(right, matches, "recall", "published recall ↑")
    for axes, title in ((left, "Quality"), (right, "Diversity")):
        axes.set_title(title, loc="left", fontsize=11.5, fontweight="bold", color=INK)
        _names(axes)
    _legend(figure, matches)
    return figure


def _panel(axes: Axes, matches: Sequence[Match], metric: str, label: str) -> None:
    axes.set(xscale="log", xlabel="images per second, measured here →", ylabel=label)
    markers = _markers(matches)
    shown = [match for match in matches if getattr(match.row.metrics, metric) is not None]
    lines: dict[tuple[str, Any], list[Match]] = {}
    for match in shown:
        lines.setdefault((match.network, match.row.identity), []).append(match)
    for points in lines.values():
        _line(axes, points, metric, markers)
    if not shown:
        text = "no source gives it"
        axes.text(0.5, 0.5, text, ha="center", transform=axes.transAxes, fontsize=8.5, style="italic", color=INK)
    axes.margins(0.12)
    _plain(axes.xaxis)
    bare(axes)


def _line(axes: Axes, points: Sequence[Match], metric: str, markers: dict[str, str]) -> None:
    xs = [float(match.rate or 0) for match in points]
    ys = [float(getattr(match.row.metrics, metric)) for match in points]
    color = _color(points[0])
    axes.plot(xs, ys, color=color, linewidth=0.9, alpha=0.6, zorder=1)
    for match, x, y in zip(points, xs, ys, strict=True):
        marker = markers[match.settings]
        axes.plot(x, y, marker=marker, color=color, markersize=6, markeredgewidth=0, gid=match.network)


def _names(axes: Axes) -> None:
    """Writes each network's name once, beside its slowest point."""
    axes.autoscale_view()  # else the limits are found out when it is drawn, too late to know what covers what
    first: dict[str, Label] = {}
    covered: list[tuple[float, float]] = []
    for line in axes.get_lines():
        xs, ys = np.asarray(line.get_xdata(), dtype=float), np.asarray(line.get_ydata(), dtype=float)
        # Lines lie flat: a network's rows have one height each.
        covered += [(float(x), float(ys[0])) for x in np.geomspace(xs.min(), xs.max(), STOPS)]
        network = line.get_gid()
        if network is not None and (network not in first or xs[0] < first[network].x):
            first[network] = Label(text=network, x=float(xs[0]), y=float(ys[0]), color=str(line.get_color()))
    place(axes, list(first.values()), covered)


def _markers(matches: Sequence[Match]) -> dict[str, str]:
    settings = dict.fromkeys(match.settings for match in matches)
    return {name: MARKERS[number % len(MARKERS)] for number, name in enumerate(settings)}


def _color(match: Match) -> str:
    families = list(FAMILIES)
    return PALETTE[families.index(match.row.family) % len(PALETTE)] if match.row.family in families else GREY


def _legend(figure: Figure, matches: Sequence[Match]) -> None:
    families = {match.row.family: _color(match) for match in matches}
    handles = [
        Line2D([], [], color=color, linewidth=2.5, label=FAMILIES.get(family, str(family)))
        for family, color in families.items()
    ]
    handles += [
        Line2D([], [], color=INK, marker=marker, linestyle="", markersize=6, label=settings)
        for settings, marker in _markers(matches).items()
    ]
    figure.legend(
        handles=handles, loc="lower center", ncol=min(len(handles), 6), frameon=False, fontsize=8.5, labelcolor=INK
    )


def _plain(axis: Any) -> None:
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_locator(NullLocator())
