"""Means and proportions with their standard errors, by image or by cluster of images.

Several images of one prompt are not independent: their deviations are summed within the cluster first (Liang and
Zeger, Biometrika 73, 1986, with the G/(G − 1) correction). Without clusters this is the ordinary sd/√n.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trilemma.errors import UserError
from trilemma.statistics.estimate import Estimate, too_few


def mean_estimate(values: ArrayLike, clusters: ArrayLike | None = None) -> Estimate:
    """Returns the mean of ``values`` (N,) with its standard error; ``clusters`` (N,) labels what belongs together.

    Raises:
        UserError: values that are not finite, or labels of another length.
    """
    values_N = finite_vector(values, "values")
    if len(values_N) == 0:
        return too_few(0, needed=1)
    se, units = standard_error_of_mean(values_N, clusters)
    return Estimate(
        value=float(values_N.mean()),
        se=se,
        se_method=method_name("mean", clusters) if se is not None else "none",
        n=len(values_N),
        degrees_of_freedom=units - 1 if se is not None else None,
    )


def proportion_estimate(successes: ArrayLike, clusters: ArrayLike | None = None) -> Estimate:
    """Returns the share of true entries in ``successes`` (N,) bool: binomial SE, or clustered when labels are given."""
    if clusters is not None:
        return mean_estimate(np.asarray(successes, dtype=np.float64), clusters)
    flags_N = finite_vector(successes, "successes")
    n = len(flags_N)
    if n == 0:
        return too_few(0, needed=1)
    share = float(flags_N.mean())
    return Estimate(value=share, se=math.sqrt(share * (1 - share) / n), se_method="binomial", n=n)


def standard_error_of_mean(values_N: NDArray[np.float64], clusters: ArrayLike | None) -> tuple[float | None, int]:
    """Returns the standard error of the mean (None with fewer than two units) and the number of independent units."""
    deviations_N = values_N - values_N.mean()
    sums_G = deviations_N if clusters is None else cluster_sums(deviations_N, clusters)
    units = len(sums_G)
    if units < 2:
        return None, units
    variance = units / (units - 1) * float(np.sum(sums_G**2)) / len(values_N) ** 2
    return math.sqrt(variance), units


def cluster_sums(values_N: NDArray[np.float64], clusters: ArrayLike) -> NDArray[np.float64]:
    """Returns the sum of the values in each cluster, float64 (G,)."""
    labels_N = np.asarray(clusters)
    if labels_N.shape != values_N.shape:
        raise UserError(f"There are {values_N.shape} values but {labels_N.shape} cluster labels.")
    _, positions_N = np.unique(labels_N, return_inverse=True)
    return np.bincount(positions_N, weights=values_N).astype(np.float64)


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
