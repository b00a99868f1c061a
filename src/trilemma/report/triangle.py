"""A model as a triangle: one corner for each score, the whole triangle where nothing is given up.

With three axes the order of the corners does not matter, which is what makes other radar charts misleading.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trilemma.report.measures import CORNERS
from trilemma.report.numbers import interval, with_error

WIDTH, HEIGHT = 240, 178
_CENTRE = (120.0, 102.0)
_RADIUS = 80.0
_ANGLES = dict(zip(CORNERS, (90.0, 210.0, 330.0), strict=True))
_LABELS = dict(zip(CORNERS, ((120, 8), (50, 156), (190, 156)), strict=True))
_RINGS = (2.5, 5.0, 7.5)
# An interval is not clipped to the scale, but what leaves it by more than this would run into the labels.
_OVER = 10.6

Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Corner:
    """One corner: its label at (x, y), the mark on its spoke, its interval, and the gap from the mark to the corner.

    ``mark`` and ``interval`` are None where there is no number, ``gap`` too where the axis is not given up; ``tip`` is
    what a pointer shows.
    """

    axis: str
    x: int
    y: int
    text: str
    tip: str
    lost: bool
    mark: Point | None = None
    interval: tuple[Point, Point] | None = None
    gap: tuple[Point, Point] | None = None


@dataclass(frozen=True, kw_only=True)
class Triangle:
    """The picture's polygons as lists of points; ``shape`` is empty unless all three scores are known."""

    frame: str
    rings: tuple[str, ...]
    shape: str
    corners: tuple[Corner, ...]
    description: str


def triangle(rows: Mapping[str, Mapping[Any, Any]], lost: tuple[str, ...]) -> Triangle:
    """Returns the picture of a model.

    Args:
        rows: its rows of :func:`trilemma.report.tables.scores` by axis. lost: the axes that it gives up.
    """
    corners = tuple(_corner(axis, rows[axis], axis in lost) for axis in CORNERS)
    marks = [corner.mark for corner in corners if corner.mark is not None]
    return Triangle(
        frame=_ring(10.0),
        rings=tuple(map(_ring, _RINGS)),
        shape=_points(marks) if len(marks) == len(CORNERS) else "",
        corners=corners,
        description="; ".join(corner.tip for corner in corners),
    )


def _corner(axis: str, row: Mapping[Any, Any], lost: bool) -> Corner:
    x, y = _LABELS[axis]
    if row["status"] != "ok":
        text = str(row["status"])
        return Corner(axis=axis, x=x, y=y, text=text, tip=f"{axis} {text}", lost=lost)
    text = with_error(row["score"], row["se"])
    ends = (row["ci_low"], row["ci_high"])
    known = all(map(math.isfinite, ends))
    return Corner(
        axis=axis,
        x=x,
        y=y,
        text=text,
        tip=f"{axis} {text}" + (f" (95 %: {interval(*ends, row['se'])})" if known else ""),
        lost=lost,
        mark=_at(axis, row["score"]),
        interval=(_at(axis, ends[0]), _at(axis, ends[1])) if known else None,
        gap=(_at(axis, row["score"]), _at(axis, 10.0)) if lost else None,
    )


def _at(axis: str, score: float) -> Point:
    """Returns where a score lies on its spoke."""
    reach, angle = _RADIUS * min(max(score, 0.0), _OVER) / 10, math.radians(_ANGLES[axis])
    return round(_CENTRE[0] + reach * math.cos(angle), 1), round(_CENTRE[1] - reach * math.sin(angle), 1)


def _ring(score: float) -> str:
    return _points([_at(axis, score) for axis in CORNERS])


def _points(points: list[Point]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)
