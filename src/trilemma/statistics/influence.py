"""Standard error from influence values, with the share that the second order counts twice taken out.

The variance of a statistic is V₁/n + V₂/n² + …; the sum of squared influence values, as the jackknife, expects
V₁/n + 2V₂/n² (Efron and Stein, "The jackknife estimate of variance", Annals of Statistics 9, 1981). Where the first
order is small, as for a distance near its minimum, that is too large by up to √2. With A the estimate from all samples
and B the mean of those from two halves, (B − 2A)/2 estimates 2V₂/n², so the corrected variance is (3A − B/2)/2, held
between A/2 and A.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trilemma.statistics.jackknife import group_labels
from trilemma.statistics.means import standard_error_of_mean


def influence_error(
    influence_N: NDArray[np.float64],
    influence_of: Callable[[NDArray[np.bool_]], NDArray[np.float64]],
    clusters: ArrayLike | None = None,
    *,
    seed: int = 0,
) -> tuple[float | None, int]:
    """Returns the standard error (None with fewer than two units) and the number of independent units.

    Args:
        influence_N: each sample's influence on the statistic.
        influence_of: the influence values of the statistic of some samples alone, chosen by bool (N,).
        clusters: (N,) labels of samples that are not independent of one another; they stay in one half.
    """
    se, units = standard_error_of_mean(influence_N, clusters)
    if se is None or units < 4:
        return se, units
    labels_N = None if clusters is None else np.asarray(clusters)
    half_N = group_labels(len(influence_N), 2, clusters=labels_N, seed=seed) == 0
    squares = []
    for chosen_N in (half_N, ~half_N):
        part, _ = standard_error_of_mean(influence_of(chosen_N), None if labels_N is None else labels_N[chosen_N])
        assert part is not None, "each half has at least two of four units"
        squares.append(part**2)
    return math.sqrt(corrected_variance(se**2, sum(squares) / 2)), units


def corrected_variance(whole: float, halves: float) -> float:
    """Returns the variance from that of all samples and the mean of those of the two halves."""
    return min(max(1.5 * whole - 0.25 * halves, 0.5 * whole), whole)
