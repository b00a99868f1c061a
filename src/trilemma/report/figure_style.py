"""How every figure looks: ink, colours, and axes without a frame. It imports nothing that takes long."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Foreground of all figures; a page may replace this very colour by its own.
INK = "#1f2328"
GREY = "#878d96"
# Okabe and Ito, "Color universal design" (2008), the order by contrast with both white and black.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "p")
WIDTH = 10.4
"""Inches."""


def bare(axes: Axes) -> None:
    """Leaves a grid and letters of the axes, on whatever paper there is."""
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.patch.set_visible(False)
    axes.figure.patch.set_alpha(0.0)
    axes.set_axisbelow(True)
    axes.grid(color=INK, alpha=0.13, linewidth=0.7)
    axes.tick_params(length=0, labelsize=8.5, labelcolor=INK, color=INK)
    axes.xaxis.label.set(color=INK, fontsize=9)
    axes.yaxis.label.set(color=INK, fontsize=9)
