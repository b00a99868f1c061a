"""Means and proportions with their standard errors, by image or by cluster of images.

Several images of one prompt are not independent: their deviations are summed within the cluster first (Liang and
Zeger, Biometrika 73, 1986, with the G/(G − 1) correction). Without clusters this is the ordinary sd/√n.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trilemma.errors import UserError
from trilemma.statistics.estimate import Estimate, estimate_from, too_few
from trilemma.statistics.replicates import Replicates, fingerprint


def mean_estimate(values: ArrayLike, clusters: ArrayLike | None = None, *, names: ArrayLike | None = None) -> Estimate:
    """Returns the mean of ``values`` (N,) with its standard error.

    Args:
        clusters: (N,) labels of what belongs together.
        names: (N,) what the values are of, such as prompts, where that is not the same for every model.

    Raises:
        UserError: values that are not finite, or labels of another length.
    """
    values_N = finite_vector(values, "values")
    if len(values_N) == 0:
        return too_few(0, needed=1)
    method = method_name("mean", clusters)
    return estimate_from(float(values_N.mean()), _parts(values_N, clusters, names), se_method=method, n=len(values_N))


def proportion_estimate(successes: ArrayLike, clusters: ArrayLike | None = None) -> Estimate:
    """Returns the share of true entries in ``successes`` (N,) bool: binomial SE, or clustered when labels are given."""
    if clusters is not None:
        return mean_estimate(np.asarray(successes, dtype=np.float64), clusters)
    flags_N = finite_vector(successes, "successes")
    n = len(flags_N)
    if n == 0:
        return too_few(0, needed=1)
    share = float(flags_N.mean())
    se = math.sqrt(share * (1 - share) / n)
    return Estimate(value=share, se=se, se_method="binomial", n=n, replicates=(_parts(flags_N, None, None),))


def unit_values(values_N: NDArray[np.float64], clusters: ArrayLike | None) -> NDArray[np.float64]:
    """Returns a value for each independent unit, float64 (U,), whose mean is that of ``values_N``.

    Without clusters these are the values; else each stands for the summed deviations of its cluster, in the order of
    the sorted labels.
    """
    if clusters is None:
        return values_N
    labels_N = np.asarray(clusters)
    if labels_N.shape != values_N.shape:
        raise UserError(f"There are {values_N.shape} values but {labels_N.shape} cluster labels.")
    _, positions_N = np.unique(labels_N, return_inverse=True)
    sums_U = np.bincount(positions_N, weights=values_N - values_N.mean())
    units_U: NDArray[np.float64] = values_N.mean() + sums_U * (len(sums_U) / len(values_N))
    return units_U


def finite_vector(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Returns ``values`` as float64 (N,); raises UserError when they are not a finite vector."""
    vector_N = np.asarray(values, dtype=np.float64)
    if vector_N.ndim != 1:
        raise UserError(f"{name} must be a vector; its shape is {vector_N.shape}.")
    if not np.isfinite(vector_N).all():
        raise UserError(f"{name} holds {int((~np.isfinite(vector_N)).sum())} entries that are not finite.")
    return vector_N


def method_name(method: str, clusters: ArrayLike | None) -> str:
    """Returns the name of a standard error, marked when it is clustered."""
    return method if clusters is None else f"{method}_clustered"


def _parts(values_N: NDArray[np.float64], clusters: ArrayLike | None, names: ArrayLike | None) -> Replicates:
    units_U = unit_values(values_N, clusters)
    named = np.unique(np.asarray(clusters)) if names is None and clusters is not None else names
    cut = "" if named is None else fingerprint(np.asarray(named))
    return Replicates(kind="parts", values_U=units_U, cut=cut)
