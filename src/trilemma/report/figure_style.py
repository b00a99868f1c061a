"""How every figure looks: ink, colours, and axes without a frame. It imports nothing that takes long."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from trilemma.report.names import label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Foreground of all figures; a page may replace this very colour by its own.
INK = "#1f2328"
GREY = "#878d96"
# Okabe and Ito, "Color universal design" (2008), the order by contrast with both white and black.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "p")
CONTROL_MARKER = "o"
LINES = ("-", ":", "-.")
"""Of models whose colours and markers have come round."""
WIDTH = 10.4
"""Inches."""


def look(model: str, *, place: int, control: bool) -> dict[str, Any]:
    """Returns how a model is drawn in every figure of a run: control, name, color, marker, size, line.

    Args:
        place: see Run.place; it gives colour and marker, so that all figures agree.
    """
    name = label(model)
    return {
        "control": control,
        "name": f"{name} (control)" if control else name,
        "color": GREY if control else PALETTE[place % len(PALETTE)],
        "marker": CONTROL_MARKER if control else MARKERS[place % len(MARKERS)],
        "size": 4.5 if control else 6.5,
        "line": LINES[max(place, 0) // math.lcm(len(PALETTE), len(MARKERS)) % len(LINES)],
    }


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
