"""Steps in a series of runs: an exact fit of constant levels, each new one at a price. Advice, and no decision.

Sources: B. Jackson et al., "An algorithm for optimal partitioning of data on an interval", IEEE Signal Processing
Letters 12 (2005), https://arxiv.org/abs/math/0309285 (the minimum of cost plus price per level, exact in O(N²)); the
same model with absolute deviations is asv's, ``asv/step_detect.py``. Running medians: J. W. Tukey, "Exploratory Data
Analysis" (1977), chapter 7.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

SHORTEST = 3
"""Runs that a level needs: one or two may be an accident."""
FEWEST = 8
"""Runs below which the noise cannot be told from a step."""
ROUNDING = 1e-6
"""Relative: what repeats is equal up to the order of additions, and a smaller change is none."""
# Of a level, in units of ln N. Yao's criterion (Statistics & Probability Letters 6, 1988) is 2, for normal noise of a
# known size; with 4, at most 2 in 100 steady series show a step, although the noise is estimated and heavy-tailed.
_PRICE = 4.0
_WINDOW = 5
_CLIP = 2.0
_LAGS = 3
_NORMAL = 1.4826  # standard deviation of normal noise over its median absolute deviation

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Level:
    """The runs [start, stop) of a series that lie around one value."""

    start: int
    stop: int
    value: float


def find_levels(values: ArrayLike, errors: Sequence[float | None]) -> list[Level]:
    """Returns the levels of a series (N,), one where it has no step, none where it has no values.

    Args:
        values: finite, in the order of time, of one machine and one identity.
        errors: standard errors; they weigh the values against one another. How large the noise is from run to run is
            taken from the values, for repeated seeds vary less than a standard error says, and sessions more.
    """
    values_N = np.asarray(values, dtype=np.float64)
    if len(values_N) == 0:
        return []
    noise_N = _noise(values_N, _relative(errors))
    if len(values_N) < FEWEST:
        return _levels(values_N, noise_N, [0, len(values_N)])
    calm_N = _without_accidents(values_N, noise_N)
    return _levels(calm_N, noise_N, _edges(calm_N, noise_N, _PRICE * math.log(len(values_N))))


def _relative(errors: Sequence[float | None]) -> Array:
    """The errors; where there is none, or it says nothing, that of the others."""
    errors_N = np.array([math.nan if error is None or not error > 0 else error for error in errors], dtype=np.float64)
    known = errors_N[np.isfinite(errors_N)]
    errors_N[~np.isfinite(errors_N)] = np.median(known) if len(known) else 1.0
    return errors_N


def _noise(values_N: Array, errors_N: Array) -> Array:
    """Standard deviation of each value about its level, from differences between runs: few of them cross a step.

    Differences of up to three runs, and the widest counts: noise that wanders is small from one run to the next.
    """
    scales = [0.0]
    for lag in range(1, min(_LAGS, max(1, len(values_N) // 4)) + 1):
        spread = np.hypot(errors_N[lag:], errors_N[:-lag])
        differences = np.abs(values_N[lag:] - values_N[:-lag]) / spread
        scales.append(_NORMAL * float(np.median(differences)) if len(differences) else 0.0)
    least = ROUNDING * float(np.abs(values_N).max()) or 1.0
    noise_N: Array = np.maximum(max(scales) * errors_N, least)
    return noise_N


def _without_accidents(values_N: Array, noise_N: Array) -> Array:
    """Values no farther than two noises from a running median of five, which a run or two cannot move."""
    windows = np.lib.stride_tricks.sliding_window_view(values_N, _WINDOW)
    starts = np.clip(np.arange(len(values_N)) - _WINDOW // 2, 0, len(windows) - 1)
    middle_N = np.median(windows, axis=1)[starts]
    calm_N: Array = middle_N + np.clip(values_N - middle_N, -_CLIP * noise_N, _CLIP * noise_N)
    return calm_N


def _edges(values_N: Array, noise_N: Array, price: float) -> list[int]:
    """Where levels begin, and the end: the least sum of squares in units of the noise, plus a price for each level."""
    count = len(values_N)
    weights = noise_N**-2.0
    centred = values_N - np.median(values_N)
    w, wx, wxx = (np.concatenate([[0.0], np.cumsum(weights * centred**power)]) for power in (0, 1, 2))
    best = np.full(count + 1, math.inf)
    best[0] = 0.0
    before = np.zeros(count + 1, dtype=np.int64)
    for stop in range(SHORTEST, count + 1):
        starts = np.arange(stop - SHORTEST + 1)
        within = wxx[stop] - wxx[starts] - (wx[stop] - wx[starts]) ** 2 / (w[stop] - w[starts])
        costs = best[starts] + within + price
        before[stop] = starts[np.argmin(costs)]
        best[stop] = costs[before[stop]]
    edges = [count]
    while edges[-1] > 0:
        edges.append(int(before[edges[-1]]))
    return edges[::-1]


def _levels(values_N: Array, noise_N: Array, edges: Sequence[int]) -> list[Level]:
    pieces = [slice(start, stop) for start, stop in zip(edges, edges[1:], strict=False)]
    return [
        Level(start=p.start, stop=p.stop, value=float(np.average(values_N[p], weights=noise_N[p] ** -2.0)))
        for p in pieces
    ]
