"""Signed-distance functions of the shapes and patterns of Scenes (after https://iquilezles.org/articles/distfunctions2d).

Distances are in picture widths, negative inside, and exact near the edges, which is where anti-aliasing reads them.
Arguments are float32 arrays that broadcast to (N, H, W).
"""

# numpy's stubs give arithmetic on the results of its universal functions the type Any.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

_PERIOD = 0.5
TILT = np.pi / 6  # the whole range of the angles, centred on upright


def signed_distance(name: str, dx: Array, dy: Array, radius: Array, angle: Array) -> NDArray[np.float32]:
    """Returns the distance to the shape ``name`` of circumradius ``radius``; ``angle`` in [0, 1] is its tilt."""
    turn = (angle - 0.5) * TILT
    cos, sin = np.cos(turn), np.sin(turn)
    return np.asarray(_SHAPES[name](cos * dx + sin * dy, cos * dy - sin * dx, radius), np.float32)


def pattern_distance(name: str, x: Array, y: Array, phase: Array) -> NDArray[np.float32]:
    """Returns the distance to the light part of the pattern ``name``, moved by ``phase`` of its period."""
    return np.asarray(_PATTERNS[name](x - phase * _PERIOD, y), np.float32)


def _circle(x: Array, y: Array, r: Array) -> Array:
    return np.hypot(x, y) - r


def _ring(x: Array, y: Array, r: Array) -> Array:
    return np.abs(np.hypot(x, y) - 0.74 * r) - 0.26 * r


def _square(x: Array, y: Array, r: Array) -> Array:
    return np.maximum(np.abs(x), np.abs(y)) - 0.7 * r


def _triangle(x: Array, y: Array, r: Array) -> Array:
    half_root = np.float32(np.sqrt(3) / 2)
    return np.maximum(np.abs(x) * half_root - y * 0.5, y) - 0.5 * r


def _star(x: Array, y: Array, r: Array) -> Array:
    sector = 2 * np.pi / 5
    theta = np.abs((np.arctan2(x, -y) + sector / 2) % sector - sector / 2)
    rho = np.hypot(x, y)
    inner = np.float32(0.42) * np.array([np.cos(sector / 2), np.sin(sector / 2)], np.float32)
    normal = np.array([inner[1], 1 - inner[0]], np.float32) / np.float32(np.hypot(inner[1], 1 - inner[0]))
    return (rho * np.cos(theta) - r) * normal[0] + rho * np.sin(theta) * normal[1]


def _heart(x: Array, y: Array, r: Array) -> Array:
    a, b = np.abs(x) / (0.92 * r), y / (0.92 * r)
    lobe = np.hypot(a - 0.46, b + 0.35) - 0.5
    foot = np.maximum(0.7576 * a + 0.6527 * b - 0.6201, -b - 0.15)  # down to (0, 0.95), tangent to the lobe
    seam = np.hypot(a, b + 0.1) - 0.3  # inside both, and deep where they only touch
    return np.minimum(np.minimum(lobe, foot), seam) * (0.92 * r)


def _cross(x: Array, y: Array, r: Array) -> Array:
    long, short = np.maximum(np.abs(x), np.abs(y)), np.minimum(np.abs(x), np.abs(y))
    return np.maximum(long - 0.95 * r, short - 0.32 * r)


def _crescent(x: Array, y: Array, r: Array) -> Array:
    return np.maximum(np.hypot(x, y) - r, 0.78 * r - np.hypot(x - 0.48 * r, y))


def _fold(x: Array, period: float) -> Array:
    """The distance of x to the nearest multiple of ``period``."""
    return np.abs((x + period / 2) % period - period / 2)


def _stripes(x: Array, y: Array) -> Array:
    return (_fold(x + y, _PERIOD) - _PERIOD / 4) * np.float32(np.sqrt(0.5))


def _checks(x: Array, y: Array) -> Array:
    across, down = _fold(x, _PERIOD) - _PERIOD / 4, _fold(y + 0 * x, _PERIOD) - _PERIOD / 4
    return np.where((across < 0) == (down < 0), -1, 1) * np.minimum(np.abs(across), np.abs(down))


def _dots(x: Array, y: Array) -> Array:
    return np.hypot(_fold(x, _PERIOD), _fold(y - _PERIOD / 2, _PERIOD)) - 0.3 * _PERIOD


def _waves(x: Array, y: Array) -> Array:
    bend = 0.06 * np.sin(2 * np.pi * x / _PERIOD)
    return (_fold(y + bend, _PERIOD) - _PERIOD / 4) * np.float32(0.85)


_SHAPES: dict[str, Callable[[Array, Array, Array], Array]] = {
    "circle": _circle, "square": _square, "triangle": _triangle, "star": _star,
    "heart": _heart, "cross": _cross, "ring": _ring, "crescent": _crescent,
}  # fmt: skip
_PATTERNS: dict[str, Callable[[Array, Array], Array]] = {
    "stripes": _stripes, "checks": _checks, "dots": _dots, "waves": _waves,
}  # fmt: skip
