"""A standard error with the degrees of freedom that it is known with, and how errors of independent sources add up.

The degrees of freedom of a variance V that is itself estimated are 2V²/Var V: U − 1 for Gaussian units, fewer for
units with heavy tails, and for a sum of independent sources (Σ Vᵢ)²/Σ(Vᵢ²/dfᵢ).
Source: F. E. Satterthwaite, "An approximate distribution of estimates of variance components", Biometrics Bulletin 2
(1946).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, kw_only=True)
class StandardError:
    """A standard error and its degrees of freedom; these are infinite where the error is taken as known."""

    se: float
    degrees_of_freedom: float

    def scaled(self, factor: float) -> StandardError:
        """Returns the error of ``factor`` times the number."""
        return StandardError(se=abs(factor) * self.se, degrees_of_freedom=self.degrees_of_freedom)


def combined(errors: Iterable[StandardError]) -> StandardError:
    """Returns the error of a sum of at least one number with independent errors."""
    known = list(errors)
    variances = np.array([error.se**2 for error in known])
    degrees = np.array([error.degrees_of_freedom for error in known])
    if len(known) == 1 or not variances.any():
        return StandardError(se=float(np.sqrt(variances.sum())), degrees_of_freedom=float(degrees.min()))
    doubt = float(np.sum(variances**2 / degrees))
    together = float(variances.sum())
    return StandardError(se=math.sqrt(together), degrees_of_freedom=together**2 / doubt if doubt else math.inf)


def mean_se(units_U: NDArray[np.float64]) -> float:
    """Returns the standard error sd/√U of the mean of at least two independent units."""
    return float(units_U.std(ddof=1)) / math.sqrt(len(units_U))


def jackknife_se(left_out_G: ArrayLike) -> float:
    """Returns the standard error from the G values with one group left out."""
    values_G = np.asarray(left_out_G, dtype=np.float64)
    groups = len(values_G)
    return math.sqrt((groups - 1) / groups * float(np.sum((values_G - values_G.mean()) ** 2)))


def degrees_of_variance(units_U: NDArray[np.float64]) -> float:
    """Returns the degrees of freedom of the units' variance, 2/(γ/U + 2/(U − 1)) with γ their excess kurtosis.

    It lies between 1 and U − 1: tails lighter than Gaussian ones are not counted on.
    """
    deviations_U = units_U - units_U.mean()
    units, variance = len(units_U), float(np.mean(deviations_U**2))
    if variance == 0:
        return units - 1
    excess = float(np.mean(deviations_U**4)) / variance**2 - 3
    return max(1.0, 2 / (max(excess, 0) / units + 2 / (units - 1)))
