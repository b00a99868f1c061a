"""The delete-a-group jackknife: a standard error for statistics that are not smooth enough for anything cheaper.

Leave one of g random groups out, recompute, and take SE² = (g − 1)/g · Σ (θ₍ⱼ₎ − θ̄)², read with Student's t at g −
1.
Source: P. S. Kott, "The delete-a-group jackknife", Journal of Official Statistics 17 (2001).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trilemma.errors import UserError
from trilemma.statistics.estimate import Estimate, estimate_from
from trilemma.statistics.replicates import Replicates

GROUPS = 20


def group_labels(
    n: int, groups: int = GROUPS, *, clusters: ArrayLike | None = None, seed: int = 0
) -> NDArray[np.int64]:
    """Deals n samples, or whole clusters of them, into balanced random groups.

    Returns:
        int64 (n,) in [0, groups): the same for the same n and seed, so that two models are cut alike. With fewer units
        than groups some groups stay empty.
    """
    if groups < 2:
        raise UserError(f"The jackknife needs at least 2 groups; {groups} were asked for.")
    if clusters is None:
        return _deal(n, groups, seed)
    labels_n = np.asarray(clusters)
    if labels_n.shape != (n,):
        raise UserError(f"There are {n} samples but cluster labels of shape {labels_n.shape}.")
    names, positions_n = np.unique(labels_n, return_inverse=True)
    return _deal(len(names), groups, seed)[positions_n]


def _deal(units: int, groups: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).permutation(np.arange(units, dtype=np.int64) % groups)


def jackknife_estimate(
    value: float, left_out_G: ArrayLike, n: int, *, clustered: bool = False, cut: str = ""
) -> Estimate:
    """Returns the estimate ``value`` with the standard error of its left-out values.

    Args:
        cut: the ``fingerprint`` of the group labels.
    """
    replicates = Replicates(kind="left_out", values_U=np.asarray(left_out_G, dtype=np.float64), cut=cut)
    method = "group_jackknife_clustered" if clustered else "group_jackknife"
    return estimate_from(float(value), replicates, se_method=method, n=n)
