"""One positive number from several processes: their geometric mean, with the error that they show.

A process is the unit: calls inside one share its memory layout, its clocks and its compiler's choices, and say nothing
of how far the next process lies (docs/decisions/017).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from trilemma.statistics.estimate import Estimate
from trilemma.statistics.means import finite_vector

METHOD = "processes"


def between_processes(values: ArrayLike, *, n: int, reason: str | None = None) -> Estimate:
    """Returns the geometric mean of a positive value for each process (P,); its error has P - 1 degrees of freedom.

    Args:
        n: what is behind all of them: calls, or images.
        reason: what is to be said of the number.
    """
    logs_P = np.log(finite_vector(values, "values"))
    value = math.exp(float(logs_P.mean()))
    if len(logs_P) < 2:
        return Estimate(value=value, se=None, se_method="none", n=n, reason=reason)
    se = value * float(logs_P.std(ddof=1)) / math.sqrt(len(logs_P))
    freedom = float(len(logs_P) - 1)
    return Estimate(value=value, se=se, se_method=METHOD, n=n, degrees_of_freedom=freedom, scale="log", reason=reason)
