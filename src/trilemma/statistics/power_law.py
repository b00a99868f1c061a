"""How a cost grows: the exponent of a power law through measured points.

On logarithmic scales cost = a · size^b is a straight line of slope b, fitted by least squares; the error is that of the
residuals (N. R. Draper and H. Smith, "Applied Regression Analysis", 3rd ed., 1998, section 1.4).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trilemma.statistics.means import finite_vector


@dataclass(frozen=True, kw_only=True)
class Exponent:
    """The b of cost = a · size^b, and its standard error, None where two points fix the line."""

    value: float
    se: float | None


def exponent(sizes: ArrayLike, costs: ArrayLike) -> Exponent | None:
    """Returns how costs (K,) grow with sizes (K,), both positive; None below two sizes that differ."""
    x_K = np.log(finite_vector(sizes, "sizes"))
    y_K = np.log(finite_vector(costs, "costs"))
    if len(set(x_K)) < 2:
        return None
    from_mean_K = x_K - x_K.mean()
    spread = float(from_mean_K @ from_mean_K)
    slope = float(from_mean_K @ y_K) / spread
    if len(x_K) < 3:
        return Exponent(value=slope, se=None)
    residuals_K = y_K - y_K.mean() - slope * from_mean_K
    variance = float(residuals_K @ residuals_K) / (len(x_K) - 2)
    return Exponent(value=slope, se=math.sqrt(variance / spread))
