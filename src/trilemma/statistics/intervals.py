"""Confidence intervals from an estimate and its standard error.

Source of the Wilson interval: E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
JASA 22 (1927); recommended for proportions by Brown, Cai and DasGupta, Statistical Science 16 (2001).
"""

from __future__ import annotations

import math

from trilemma.errors import UserError
from trilemma.statistics.distributions import normal_quantile, t_quantile

LEVEL = 0.95
"""Of every interval that is stored or shown."""
LARGEST_EXPONENT = 700.0
"""Of a power of e that a float still holds."""


def normal_interval(value: float, se: float, level: float = 0.95) -> tuple[float, float]:
    """Returns value ± z·se."""
    half = normal_quantile(_upper(level)) * se
    return value - half, value + half


def t_interval(value: float, se: float, degrees_of_freedom: float, level: float = 0.95) -> tuple[float, float]:
    """Returns value ± t·se with Student's t at ``degrees_of_freedom``."""
    half = t_quantile(_upper(level), degrees_of_freedom) * se
    return value - half, value + half


def log_interval(value: float, se: float, degrees_of_freedom: float, level: float = 0.95) -> tuple[float, float]:
    """Returns value · exp(± t·se/value), the interval of a positive number whose logarithm scatters evenly."""
    reach = math.exp(min(t_quantile(_upper(level), degrees_of_freedom) * se / value, LARGEST_EXPONENT))
    return value / reach, value * reach


def wilson_interval(proportion: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Returns the Wilson score interval of a proportion of n independent trials.

    It stays inside [0, 1] and keeps a width at 0 and 1, where the binomial standard error is 0.
    """
    z2 = normal_quantile(_upper(level)) ** 2
    centre = (proportion + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (proportion * (1 - proportion) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def _upper(level: float) -> float:
    if not 0 < level < 1:
        raise UserError(f"A confidence level lies between 0 and 1; this one is {level}.")
    return 0.5 + level / 2
