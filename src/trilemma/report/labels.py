"""Where the names of points go in a crowded scatter plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NEAR, _FAR = 5.0, 17.0
# Diagonals first: error bars run along the axes.
_DIRECTIONS = ((1, 1), (-1, 1), (1, -1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1))
# Average advance of a letter and the height of a line, in units of the font size.
_LETTER, _LINE = 0.60, 1.15


@dataclass(frozen=True, kw_only=True)
class Label:
    """A name for the point (x, y) in data coordinates, in a colour."""

    text: str
    x: float
    y: float
    color: str
    size: float = 8.0


Box = tuple[float, float, float, float]


def place(axes: Axes, labels: Sequence[Label], others: Sequence[tuple[float, float]] = ()) -> None:
    """Writes each label beside its point, greedily where it covers the fewest points and other labels.

    A label that had to move away from its point is tied to it by a thin line. ``others`` are points without a name.
    """
    points = [_to_points(axes, label.x, label.y) for label in labels]
    marks = [*points, *(_to_points(axes, x, y) for x, y in others)]
    taken: list[Box] = [(x - 4, y - 4, x + 4, y + 4) for x, y in marks]
    frame = _frame(axes)
    for label, point in zip(labels, points, strict=True):
        offset = min(_offsets(), key=lambda shift: _cost(_box(label, point, shift), taken, frame) + _reach(shift))
        taken.append(_box(label, point, offset))
        _write(axes, label, offset)


def _to_points(axes: Axes, x: float, y: float) -> tuple[float, float]:
    right, up = axes.transData.transform((x, y))
    scale = 72.0 / axes.figure.dpi
    return float(right) * scale, float(up) * scale


def _frame(axes: Axes) -> Box:
    scale = 72.0 / axes.figure.dpi
    box = axes.bbox
    return box.x0 * scale, box.y0 * scale, box.x1 * scale, box.y1 * scale


def _offsets() -> list[tuple[float, float]]:
    return [(dx * reach, dy * reach) for reach in (_NEAR, _FAR, 2 * _FAR) for dx, dy in _DIRECTIONS]


def _reach(offset: tuple[float, float]) -> float:
    return max(abs(offset[0]), abs(offset[1]))


def _box(label: Label, point: tuple[float, float], offset: tuple[float, float]) -> Box:
    width, height = _LETTER * label.size * len(label.text), _LINE * label.size
    x, y = point[0] + offset[0], point[1] + offset[1]
    left = x - width * _share(offset[0])
    bottom = y - height * _share(offset[1])
    return left, bottom, left + width, bottom + height


def _share(offset: float) -> float:
    return 0.5 if offset == 0 else (0.0 if offset > 0 else 1.0)


def _cost(box: Box, taken: Sequence[Box], frame: Box) -> float:
    area = (box[2] - box[0]) * (box[3] - box[1])
    return 2 * sum(_overlap(box, other) for other in taken) + 4 * (area - _overlap(box, frame))


def _overlap(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0.0, width) * max(0.0, height)


def _write(axes: Axes, label: Label, offset: tuple[float, float]) -> None:
    far = max(abs(offset[0]), abs(offset[1])) > _NEAR
    axes.annotate(
        label.text,
        (label.x, label.y),
        xytext=offset,
        textcoords="offset points",
        ha={0.0: "left", 0.5: "center", 1.0: "right"}[_share(offset[0])],
        va={0.0: "bottom", 0.5: "center", 1.0: "top"}[_share(offset[1])],
        fontsize=label.size,
        color=label.color,
        arrowprops={"arrowstyle": "-", "lw": 0.6, "color": label.color, "alpha": 0.6} if far else None,
    )
