"""The scale on which a measure is drawn: linear, or logarithmic where a few points would press all others together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["linear", "log", "symlog"]
# From this ratio of the largest to the median magnitude on, a linear scale would press half the points together.
WIDE = 20.0
MARGIN = 0.07


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A scale in Vega's terms; ``domain`` runs upwards, ``constant`` is symlog's (linear within it, about)."""

    type: Kind
    domain: tuple[float, float]
    constant: float = 1.0


SCORE = Scale(type="linear", domain=(-0.4, 10.4))
"""Of scores from 0 to 10."""


def scale_of(values: Sequence[float], bounds: Sequence[float]) -> Scale:
    """Returns the scale that shows all values and as much of their intervals as it can.

    Args:
        values: finite, at least one.
        bounds: the ends of their intervals; on a logarithmic scale those at or below 0 are left out.
    """
    sizes = sorted(abs(value) for value in values if value)
    median = sizes[(len(sizes) - 1) // 2] if sizes else 0.0
    kind: Kind = "linear"
    if sizes and sizes[-1] > WIDE * median:
        kind = "log" if min(values) > 0 else "symlog"
    constant = median / 10 if kind == "symlog" else 1.0
    shown = [*values, *(bound for bound in bounds if kind != "log" or bound > 0)]
    placed = [forward(kind, constant, value) for value in shown]
    margin = MARGIN * (max(placed) - min(placed)) or 0.1 * abs(placed[0]) or 0.5
    ends = (min(placed) - margin, max(placed) + margin)
    low, high = (backward(kind, constant, end) for end in ends)
    return Scale(type=kind, domain=(low, high), constant=constant)


def forward(kind: Kind, constant: float, value: float) -> float:
    """Returns where a value lies on a scale, in the scale's own units; symlog as in d3-scale."""
    if kind == "log":
        return math.log(value)
    return math.copysign(math.log1p(abs(value) / constant), value) if kind == "symlog" else value


def backward(kind: Kind, constant: float, place: float) -> float:
    """Returns the value that lies at a place: the inverse of :func:`forward`."""
    if kind == "log":
        return math.exp(place)
    return math.copysign(constant * math.expm1(abs(place)), place) if kind == "symlog" else place
