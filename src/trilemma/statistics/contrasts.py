"""Differences between replicated values: processes of one session, or whole sessions.

Iterations of one process are no replicates: they share its memory layout and clocks, and are autocorrelated.
Sources: B. L. Welch, "The generalization of Student's problem when several different population variances are
involved", Biometrika 34 (1947); Student's two-sample test; H. B. Mann and D. R. Whitney, Annals of Mathematical
Statistics 18 (1947).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trilemma.statistics.distributions import rank_sum_p

PROCESSES = 5
"""Processes that each side of an interleaved comparison needs."""
BASELINE_SESSIONS = 5
CANDIDATE_SESSIONS = 2

Flaw = Literal["not_finite", "zero_where_positive", "no_standard_error", "too_few_processes", "too_few_sessions"]
"""Why a difference can be shown at most, not judged."""


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """Candidate − baseline.

    Attributes:
        difference: NaN where there is none.
        se: None where too few values tell no spread. degrees_of_freedom: of the standard error.
        flaw: why it cannot be judged, or None.
    """

    difference: float
    se: float | None
    degrees_of_freedom: float | None
    flaw: Flaw | None = None


def positive_logs(values: ArrayLike) -> NDArray[np.float64]:
    """Returns the logs of ``values`` (N,); −inf stands for zero and for what is below, so that a test refuses it."""
    values_N = np.asarray(values, dtype=np.float64)
    with np.errstate(divide="ignore"):
        logs_N: NDArray[np.float64] = np.log(np.maximum(values_N, 0.0))
    return logs_N


def welch(baseline_logs: ArrayLike, candidate_logs: ArrayLike) -> Contrast:
    """Returns the difference of interleaved processes: one log of a median for each, five on each side at least."""
    a_N, b_N = (np.asarray(logs, dtype=np.float64) for logs in (baseline_logs, candidate_logs))
    flaw = _flaw_of_values(a_N, b_N)
    if flaw is not None:
        return _undecided(flaw)
    enough = min(len(a_N), len(b_N)) >= PROCESSES
    return _contrast(a_N, b_N, _welch_error(a_N, b_N), None if enough else "too_few_processes")


def sessions(baseline_means: ArrayLike, candidate_means: ArrayLike) -> Contrast:
    """Returns the difference of sessions, five of the baseline and two of the candidate at least; one mean for each.

    The spread is pooled (Student's test). That of the baseline alone is as honest while all sessions are alike, but one
    disturbed session of the candidate then moves the difference and not its error, and raises an alarm.
    """
    a_N, b_N = (np.asarray(means, dtype=np.float64) for means in (baseline_means, candidate_means))
    flaw = _flaw_of_values(a_N, b_N)
    if flaw is not None:
        return _undecided(flaw)
    enough = len(a_N) >= BASELINE_SESSIONS and len(b_N) >= CANDIDATE_SESSIONS
    return _contrast(a_N, b_N, _pooled_error(a_N, b_N), None if enough else "too_few_sessions")


def mann_whitney(baseline: ArrayLike, candidate: ArrayLike) -> float | None:
    """Returns the exact two-sided p of the rank test, which outliers cannot sway: a check beside the decision.

    None with fewer than five on a side, where it could not reach 0.01, and where values tie or are not finite, as the
    exact distribution does not hold then.
    """
    a_N, b_N = (np.asarray(values, dtype=np.float64) for values in (baseline, candidate))
    all_M = np.concatenate([a_N, b_N])
    if min(len(a_N), len(b_N)) < PROCESSES or not np.isfinite(all_M).all() or len(np.unique(all_M)) < len(all_M):
        return None
    return rank_sum_p(a_N, b_N)


def _flaw_of_values(a_N: NDArray[np.float64], b_N: NDArray[np.float64]) -> Flaw | None:
    all_M = np.concatenate([a_N, b_N])
    if np.isneginf(all_M).any():
        return "zero_where_positive"
    return None if np.isfinite(all_M).all() else "not_finite"


def _undecided(flaw: Flaw) -> Contrast:
    return Contrast(difference=math.nan, se=None, degrees_of_freedom=None, flaw=flaw)


def _contrast(
    a_N: NDArray[np.float64], b_N: NDArray[np.float64], error: tuple[float, float] | None, flaw: Flaw | None
) -> Contrast:
    difference = float(b_N.mean() - a_N.mean()) if len(a_N) and len(b_N) else math.nan
    se, degrees_of_freedom = error if error is not None else (None, None)
    return Contrast(difference=difference, se=se, degrees_of_freedom=degrees_of_freedom, flaw=flaw)


def _welch_error(a_N: NDArray[np.float64], b_N: NDArray[np.float64]) -> tuple[float, float] | None:
    """The standard error and Welch and Satterthwaite's degrees of freedom."""
    if min(len(a_N), len(b_N)) < 2:
        return None
    parts = [(float(side_N.var(ddof=1)) / len(side_N), len(side_N) - 1) for side_N in (a_N, b_N)]
    variance = sum(part for part, _ in parts)
    if variance == 0:
        return 0.0, float(len(a_N) + len(b_N) - 2)
    return math.sqrt(variance), 1 / sum((part / variance) ** 2 / degrees for part, degrees in parts)


def _pooled_error(a_N: NDArray[np.float64], b_N: NDArray[np.float64]) -> tuple[float, float] | None:
    degrees = len(a_N) + len(b_N) - 2
    if min(len(a_N), len(b_N)) == 0 or degrees < 1:
        return None
    squares = sum(float(np.sum((side_N - side_N.mean()) ** 2)) for side_N in (a_N, b_N))
    return math.sqrt(squares / degrees * (1 / len(a_N) + 1 / len(b_N))), float(degrees)
