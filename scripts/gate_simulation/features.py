"""Fréchet distances: of the same sample keys with paired errors, and of independent seeds."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.random import Generator

from gate_simulation.draws import DISTANCE, features, reference
from gate_simulation.scenario import ALARMS, COMPARISONS, DISTANCE_MARGIN, NONE, POWER, Promise, Scenario
from trilemma.metrics.frechet import frechet_distance
from trilemma.statistics.decision import Test, Verdict, decide
from trilemma.statistics.estimate import Estimate
from trilemma.statistics.margins import Margin
from trilemma.statistics.paired import paired
from trilemma.statistics.standard_error import combined

CALIBRATION_RUNS = 20
ROUNDED = 0.99995
"""Correlation of features that differ by 1 % of their spread, as between two implementations."""


def feature_scenarios() -> list[Scenario]:
    """Returns the rows of Fréchet distances of 400 samples in 8 dimensions."""
    rounded, rounding = partial(_paired, shared=ROUNDED), "rounding"
    rows: tuple[tuple[str, str, str, Promise, partial[list[Verdict]]], ...] = (
        ("same keys", rounding, "none", ALARMS, rounded),
        ("same keys", "90 % of the noise shared", "none", ALARMS, partial(_paired, shared=0.9)),
        ("other seeds", "sampling", "none", ALARMS, partial(_independent)),
        ("other seeds, margin calibrated", "sampling", "none", ALARMS, partial(_calibrated)),
        ("same keys", rounding, "2 × margin", POWER, partial(rounded, margins=2)),
        ("same keys", "99 % of the noise shared", "2 × margin", POWER, partial(_paired, shared=0.99, margins=2)),
        ("other seeds", "sampling", "2 × margin", NONE, partial(_independent, margins=2)),
        ("other seeds, margin calibrated", "sampling", "2 × margin", POWER, partial(_calibrated, margins=2)),
    )
    return [
        Scenario(design=f"Fréchet distance, {design}", noise=noise, change=change, draw=draw, promise=promise)
        for design, noise, change, promise, draw in rows
    ]


def paired_test(baseline: Estimate, candidate: Estimate) -> Test:
    """Returns the test of two models that drew the same samples."""
    found = paired(baseline, candidate)
    assert baseline.value is not None and found.value is not None
    return Test(
        worse=found.value,
        se=found.se,
        degrees_of_freedom=found.degrees_of_freedom,
        margin=DISTANCE_MARGIN.of(baseline.value),
    )


def _independent_test(baseline: Estimate, candidate: Estimate, margin: Margin) -> Test:
    assert baseline.value is not None and candidate.value is not None
    errors = (source.error() for side in (baseline, candidate) for source in side.replicates)
    error = combined(one for one in errors if one is not None)
    return Test(
        worse=candidate.value - baseline.value,
        se=error.se,
        degrees_of_freedom=error.degrees_of_freedom,
        margin=margin.of(baseline.value),
    )


def _paired(rng: Generator, *, shared: float, margins: float = 0) -> list[Verdict]:
    against, worse = reference(rng), margins * DISTANCE_MARGIN.of(DISTANCE)
    verdicts: list[Verdict] = []
    for _ in range(COMPARISONS):
        baseline = features(rng)
        candidate = features(rng, worse=worse, like=baseline, shared=shared)
        test = paired_test(frechet_distance(baseline, against), frechet_distance(candidate, against))
        verdicts.append(decide([test])[0].verdict)
    return verdicts


def _independent(rng: Generator, *, margins: float = 0, margin: Margin = DISTANCE_MARGIN) -> list[Verdict]:
    against, worse = reference(rng), margins * margin.of(DISTANCE)
    verdicts: list[Verdict] = []
    for _ in range(COMPARISONS):
        baseline, candidate = features(rng), features(rng, worse=worse)
        sides = (frechet_distance(side, against) for side in (baseline, candidate))
        test = _independent_test(*sides, margin)
        verdicts.append(decide([test])[0].verdict)
    return verdicts


def _calibrated(rng: Generator, *, margins: float = 0) -> list[Verdict]:
    against = reference(rng)
    pairs = [[frechet_distance(features(rng), against).value or 0.0 for _ in range(2)] for _ in range(CALIBRATION_RUNS)]
    noise = float(np.std([b - a for a, b in pairs], ddof=1))
    margin = Margin(relative=DISTANCE_MARGIN.relative, absolute=DISTANCE_MARGIN.absolute, noise=noise)
    return _independent(rng, margins=margins, margin=margin)
