"""The few probability distributions that the suite needs: typed, and the only place that imports scipy.

scipy.stats takes half a second to import, so it is imported where it is used: most commands never get there.

Source: NIST Digital Library of Mathematical Functions, chapter 8 (incomplete beta and gamma functions);
implementation https://docs.scipy.org/doc/scipy/reference/stats.html
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special


def normal_quantile(probability: float) -> float:
    """Returns z with P(Z <= z) = probability for a standard normal Z."""
    return float(special.ndtri(probability))


def t_quantile(probability: float, degrees_of_freedom: float | None) -> float:
    """Returns t with P(T <= t) = probability for Student's T; None degrees of freedom are the normal limit."""
    if degrees_of_freedom is None:
        return normal_quantile(probability)
    return float(special.stdtrit(degrees_of_freedom, probability))


def t_tail(t: float, degrees_of_freedom: float | None) -> float:
    """Returns P(T > t) for Student's T, exact far out too; None degrees of freedom are the normal limit."""
    return float(special.ndtr(-t) if degrees_of_freedom is None else special.stdtr(degrees_of_freedom, -t))


def noncentrality(t: float, power: float, degrees_of_freedom: float | None) -> float:
    """Returns the d with P(T > t) = power for a noncentral T: the effect, in standard errors, that a test finds."""
    if degrees_of_freedom is None:
        return t + normal_quantile(power)
    return float(special.nctdtrinc(degrees_of_freedom, 1 - power, t))


def rank_sum_p(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Returns the exact two-sided p of the Mann-Whitney test of two samples without ties."""
    from scipy import stats

    return float(stats.mannwhitneyu(a, b, alternative="two-sided", method="exact").pvalue)


def binomial_probabilities(n: int, p: float) -> NDArray[np.float64]:
    """Returns P(X = 0), ..., P(X = n) for X ~ Binomial(n, p), float64 (n + 1,)."""
    from scipy import stats

    return np.asarray(stats.binom.pmf(np.arange(n + 1), n, p), dtype=np.float64)


def beta_binomial_tail(count: int, n: int, a: float, b: float) -> float:
    """Returns P(X >= count) for X ~ BetaBinomial(n, a, b)."""
    from scipy import stats

    return float(stats.betabinom.sf(count - 1, n, a, b))
