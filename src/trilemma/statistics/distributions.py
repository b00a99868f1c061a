"""The few probability distributions that the suite needs: typed, and the only place that imports scipy.

Source: NIST Digital Library of Mathematical Functions, chapter 8 (incomplete beta and gamma functions);
implementation https://docs.scipy.org/doc/scipy/reference/stats.html
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats


def normal_quantile(probability: float) -> float:
    """Returns z with P(Z <= z) = probability for a standard normal Z."""
    return float(stats.norm.ppf(probability))


def t_quantile(probability: float, degrees_of_freedom: float) -> float:
    """Returns t with P(T <= t) = probability for Student's T."""
    return float(stats.t.ppf(probability, degrees_of_freedom))


def binomial_probabilities(n: int, p: float) -> NDArray[np.float64]:
    """Returns P(X = 0), ..., P(X = n) for X ~ Binomial(n, p), float64 (n + 1,)."""
    return np.asarray(stats.binom.pmf(np.arange(n + 1), n, p), dtype=np.float64)


def beta_binomial_tail(count: int, n: int, a: float, b: float) -> float:
    """Returns P(X >= count) for X ~ BetaBinomial(n, a, b)."""
    return float(stats.betabinom.sf(count - 1, n, a, b))
