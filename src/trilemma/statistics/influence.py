"""Standard errors of smooth statistics from influence values, with the halves that correct them for the second order.

See :mod:`trilemma.statistics.replicates` for the formula.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trilemma.statistics.jackknife import group_labels
from trilemma.statistics.means import unit_values
from trilemma.statistics.replicates import Replicates, fingerprint

InfluenceOf = Callable[[NDArray[np.bool_]], NDArray[np.float64]]
FEWEST_UNITS = 4
"""With fewer, a half has no spread."""


def influence_replicates(
    influence_N: NDArray[np.float64],
    influence_of: InfluenceOf | None,
    clusters: ArrayLike | None = None,
    *,
    seed: int = 0,
) -> Replicates:
    """Returns the replicates of a smooth statistic.

    Args:
        influence_N: each sample's influence on the statistic.
        influence_of: the influence values of the statistic of some samples alone, chosen by bool (N,); None where
            half of the samples are too few for it, and the error is left uncorrected.
        clusters: (N,) labels of samples that are not independent of one another; they stay in one half.
    """
    whole_U = unit_values(influence_N, clusters)
    names_U, unit_N = _units(len(influence_N), clusters)
    named = "" if clusters is None else fingerprint(names_U)
    if influence_of is None or len(whole_U) < FEWEST_UNITS:
        return Replicates(kind="influence", values_U=whole_U, cut=named)
    half_U = group_labels(len(whole_U), 2, seed=seed)
    halves_U = np.empty(len(whole_U))
    for half in (0, 1):
        chosen_N = half_U[unit_N] == half
        halves_U[half_U == half] = unit_values(influence_of(chosen_N), None if clusters is None else unit_N[chosen_N])
    return Replicates(kind="influence", values_U=whole_U, halves_U=halves_U, cut=named + fingerprint(half_U))


def _units(n: int, clusters: ArrayLike | None) -> tuple[NDArray[np.generic], NDArray[np.int64]]:
    """Returns the units' names (U,) and each sample's unit (N,): the samples themselves, or the sorted clusters."""
    if clusters is None:
        return np.arange(n), np.arange(n)
    names_U, unit_N = np.unique(np.asarray(clusters), return_inverse=True)
    return names_U, unit_N
