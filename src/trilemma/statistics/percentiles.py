"""Percentiles of a latency, where there are calls enough to claim one.

What is told is the empirical percentile of the calls that were timed: an estimate, and no bound.

How many calls it takes is a rule of refusal, borrowed from the early-stopping criterion of MLPerf's LoadGen without a
call over the limit (mlcommons/inference, loadgen/early_stopping.cc): n calls that all lie below a bound show at
confidence c that a share p of all calls does where p^n <= 1 - c. From there on the largest call, not the percentile, is
such a bound; with fewer calls nothing is, and the tail was hardly seen.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trilemma.errors import UserError
from trilemma.statistics.estimate import Estimate, too_few
from trilemma.statistics.means import finite_vector

CONFIDENCE = 0.99


def calls_needed(share: float, confidence: float = CONFIDENCE) -> int:
    """Returns the fewest calls that a percentile is told of: 44 for the 90th, 459 for the 99th."""
    if not (0 < share < 1 and 0 < confidence < 1):
        raise UserError(f"A share and a confidence lie between 0 and 1; these are {share} and {confidence}.")
    return math.ceil(math.log1p(-confidence) / math.log(share))


def quantile(values_N: NDArray[np.float64], share: float) -> float:
    """Returns the smallest value that at least a share of them does not exceed: one that occurred."""
    return float(np.quantile(values_N, share, method="inverted_cdf"))


def percentile(values: ArrayLike, share: float) -> Estimate:
    """Returns the empirical percentile of ``values`` (N,), see :func:`quantile`, without an error.

    Below :func:`calls_needed` values there is none, and the reason says how many are needed.
    """
    values_N = finite_vector(values, "values")
    needed = calls_needed(share)
    if len(values_N) < needed:
        return too_few(len(values_N), needed=needed, what="calls")
    return Estimate(value=quantile(values_N, share), se=None, se_method="none", n=len(values_N))
