"""What a metric saw of a distortion: one word from its values at the levels, and Kendall's tau with their order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from trilemma.scoring.row import Direction

Verdict = Literal["saw", "uneven", "blind", "wrong way", "steady", "drifts", "not measured"]

BEYOND = 3.0
"""Standard errors that a change must exceed to be one."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a metric says of one set of images: its value and standard error, or the reason why there is none."""

    value: float | None
    se: float | None
    reason: str | None = None


def judge(clean: Reading, levels: Sequence[Reading], direction: Direction, *, steady: bool = False) -> Verdict:
    """Returns the verdict over the levels that have a value and an error, weakest first.

    The errors of two levels are taken as independent. They share images, so that the true error of a difference is
    smaller: a metric is rather called blind than given credit.

    Returns:
        "saw": worse than clean at the strongest level, and no step back on the way there, each beyond 3 errors;
        "wrong way": better than clean at the strongest level; "uneven": beyond 3 errors somewhere, but neither of
        these; "blind": no change anywhere. Where the images are ``steady``: "steady", or "drifts" where one changes.
    """
    known = [level for level in levels if _has_error(level)]
    if not known or not _has_error(clean):
        return "not measured"
    changes = [_worsening(clean, level, direction) for level in known]
    moved = any(abs(change) > BEYOND for change in changes)
    if steady:
        return "drifts" if moved else "steady"
    if changes[-1] < -BEYOND:
        return "wrong way"
    steps = [_worsening(before, after, direction) for before, after in pairwise((clean, *known))]
    if changes[-1] > BEYOND and min(steps) >= -BEYOND:
        return "saw"
    return "uneven" if moved else "blind"


def severity_tau(clean: Reading, levels: Sequence[Reading], direction: Direction) -> float | None:
    """Returns Kendall's tau-b of the metric's badness with the known order of severity, clean first; None below 3."""
    sign = 1 if direction == "lower" else -1
    badness = [sign * one.value if one.value is not None else None for one in (clean, *levels)]
    return kendall_tau([(rank, bad) for rank, bad in enumerate(badness) if bad is not None])


def kendall_tau(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Returns Kendall's tau-b of pairs: 1 for the same order, -1 for the opposite; None where it is undefined."""
    from scipy.stats import kendalltau

    if len(pairs) < 3:
        return None
    tau = float(kendalltau(*zip(*pairs, strict=True)).statistic)
    return None if math.isnan(tau) else tau


def _has_error(reading: Reading) -> bool:
    return reading.value is not None and reading.se is not None


def _worsening(before: Reading, after: Reading, direction: Direction) -> float:
    """Returns how much worse ``after`` is, in standard errors of the difference."""
    assert before.value is not None and after.value is not None and before.se is not None and after.se is not None
    worse = (after.value - before.value) * (1 if direction == "lower" else -1)
    error = math.hypot(before.se, after.se)
    return worse / error if error > 0 else math.copysign(math.inf, worse) if worse else 0.0
