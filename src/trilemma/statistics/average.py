"""The mean of several numbers of the same samples, with its standard error.

Where all have replicates of the same units, those of the mean are their means, unit by unit, so that what the numbers
share (the same prompts, the same noise) is counted. Otherwise they are taken as independent.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

from trilemma.errors import UserError
from trilemma.statistics.estimate import Estimate, estimate_from
from trilemma.statistics.replicates import Replicates
from trilemma.statistics.standard_error import StandardError, combined


def average(estimates: Sequence[Estimate]) -> Estimate:
    """Returns the mean of at least one number; the first that has no value, where there is one, is returned instead."""
    absent = next((one for one in estimates if one.value is None), None)
    if absent is not None or len(estimates) == 1:
        return estimates[0] if absent is None else absent
    value = sum(one.value for one in estimates if one.value is not None) / len(estimates)
    n, sources = min(one.n for one in estimates), _sources(estimates)
    if sources:
        return estimate_from(value, *sources, se_method="delta", n=n)
    known = [StandardError(se=one.se, degrees_of_freedom=_degrees(one)) for one in estimates if one.se is not None]
    if len(known) < len(estimates):
        return Estimate(value=value, se=None, se_method="none", n=n)
    error = combined(known).scaled(1 / len(estimates))
    degrees = error.degrees_of_freedom if math.isfinite(error.degrees_of_freedom) else None
    return Estimate(value=value, se=error.se, se_method="delta", n=n, degrees_of_freedom=degrees)


def _degrees(estimate: Estimate) -> float:
    return math.inf if estimate.degrees_of_freedom is None else estimate.degrees_of_freedom


def _sources(estimates: Sequence[Estimate]) -> tuple[Replicates, ...]:
    """Returns the replicates of the mean, none where the numbers are not made of the same units."""
    try:
        sources = list(zip(*(one.replicates for one in estimates), strict=True))
        return tuple(functools.reduce(_plus, same).scaled(1 / len(same)) for same in sources)
    except (UserError, ValueError):  # unlike units; unlike numbers of sources
        return ()


def _plus(one: Replicates, other: Replicates) -> Replicates:
    return one.minus(other.scaled(-1))
