"""Simulated measurements with planted changes: times of processes and sessions, and features."""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from trilemma.metrics.moments import Gaussian, moments

Array = NDArray[np.float64]

ITERATIONS = 40
WITHIN_SD = 0.003
AUTOCORRELATION = 0.5
SLOW_SHARE, SLOW_BY = 0.02, 0.05
WIDTH, SAMPLES, REFERENCE_SAMPLES = 8, 400, 4000
DISTANCE = 10.0
"""Squared distance of the model's mean feature from the reference's: about the Fréchet distance."""


def process_logs(rng: Generator, shape: tuple[int, ...], process_sd: float) -> Array:
    """Returns the log of each process's median time, about 0, of ``shape``.

    Its iterations have a standard deviation of 0.3 % and an autocorrelation of 0.5; 2 % of them are 5 % slower.
    """
    noise = WITHIN_SD * rng.normal(size=shape)
    logs = np.empty((ITERATIONS, *shape))
    for i in range(ITERATIONS):
        logs[i] = noise + SLOW_BY * (rng.random(shape) < SLOW_SHARE)
        fresh = WITHIN_SD * math.sqrt(1 - AUTOCORRELATION**2) * rng.normal(size=shape)
        noise = AUTOCORRELATION * noise + fresh
    median: Array = np.median(logs, axis=0)
    return median + process_sd * rng.normal(size=shape)


def interleaved(
    rng: Generator,
    comparisons: int,
    *,
    change: float | Array,
    process_sd: float,
    session_sd: float = 0.0,
    drift: float = 0.0,
) -> tuple[Array, Array]:
    """Returns logs (comparisons, 5) of baseline and candidate, run as A B B A A B B A A B in one session.

    Args:
        change: what is added to the candidate's logs; one number, or (comparisons, 1).
        drift: what the session adds to them from its first process to its last.
    """
    order = np.array([0, 1, 1, 0, 0, 1, 1, 0, 0, 1])
    logs = process_logs(rng, (comparisons, len(order)), process_sd)
    logs += session_sd * rng.normal(size=(comparisons, 1)) + drift * np.linspace(0, 1, len(order)) + change * order
    return logs[:, order == 0], logs[:, order == 1]


def session_means(
    rng: Generator,
    comparisons: int,
    sessions: int,
    *,
    session_sd: float,
    process_sd: float = 0.003,
    slow_share: float = 0.0,
) -> Array:
    """Returns the mean log time (comparisons, sessions) of sessions of three processes; some are slower by 10 %."""
    shape = (comparisons, sessions)
    logs: Array = process_logs(rng, (*shape, 3), process_sd).mean(axis=-1) + session_sd * rng.normal(size=shape)
    return logs + 0.1 * (rng.random(shape) < slow_share)


def reference(rng: Generator) -> Gaussian:
    """Returns the moments of the reference features."""
    return moments(rng.normal(size=(REFERENCE_SAMPLES, WIDTH)))


def features(rng: Generator, *, worse: float = 0.0, like: Array | None = None, shared: float = 0.0) -> Array:
    """Returns the features (N, D) of a model whose Fréchet distance from the reference is greater by ``worse``.

    Args:
        worse: what the planted shift adds.
        like: unshifted features of a model that drew the same samples from the same noise.
        shared: correlation with ``like``, feature by feature.
    """
    noise = rng.normal(size=(SAMPLES, WIDTH))
    if like is not None:
        noise = shared * (like - _shift(0.0)) + math.sqrt(1 - shared**2) * noise
    return noise + _shift(worse)


def _shift(worse: float) -> Array:
    return math.sqrt(DISTANCE + worse) * np.eye(WIDTH)[0]
