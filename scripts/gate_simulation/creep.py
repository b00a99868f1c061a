"""A change too small to be seen from one run to the next, over 30 runs: against a pinned baseline and a moving one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.random import Generator

from gate_simulation.draws import DISTANCE, features, interleaved, reference, session_means
from gate_simulation.features import ROUNDED, paired_test
from gate_simulation.timings import timing_test
from trilemma.metrics.frechet import frechet_distance
from trilemma.statistics.contrasts import BASELINE_SESSIONS, CANDIDATE_SESSIONS, sessions, welch
from trilemma.statistics.decision import Test, decide

RUNS = 30
HISTORIES = 100
TIME_PER_RUN = 0.003
DISTANCE_PER_RUN = 0.005

Promise = Literal["always", "never"]
ALWAYS: Promise = "always"
NEVER: Promise = "never"


@dataclass(frozen=True, kw_only=True)
class Creep:
    """One row: ``draw`` returns for each history the first run, from 1, that is REGRESSED, or None."""

    measure: str
    against: str
    draw: Callable[[Generator], list[int | None]]
    promise: Promise


def creeps() -> list[Creep]:
    """Returns all rows, in the order of the table."""
    rows: tuple[tuple[str, str, Callable[..., list[int | None]]], ...] = (
        ("time, +0.3 % a run, interleaved", "run", _interleaved),
        ("time, +0.3 % a run, sessions 0.5 %", "5 runs", _stored),
        ("Fréchet distance, +0.5 % a run", "run", _distances),
    )
    return [
        Creep(measure=measure, against=against, draw=partial(draw, pinned=promise == "always"), promise=promise)
        for measure, unit, draw in rows
        for against, promise in ((f"pinned {unit}", ALWAYS), (f"last {unit}", NEVER))
    ]


def _interleaved(rng: Generator, *, pinned: bool) -> list[int | None]:
    run = np.arange(1, RUNS + 1)
    change = TIME_PER_RUN * (run if pinned else np.ones(RUNS))[:, None]
    histories = (interleaved(rng, RUNS, change=change, process_sd=0.003) for _ in range(HISTORIES))
    return [_first([timing_test(welch(a, b)) for a, b in zip(*sides, strict=True)]) for sides in histories]


def _stored(rng: Generator, *, pinned: bool) -> list[int | None]:
    """Runs are sessions; the newest two are the candidate, and a moving baseline is the five before them."""
    before = BASELINE_SESSIONS
    drift = TIME_PER_RUN * np.concatenate([np.zeros(before), np.arange(1, RUNS + 1)])
    found = []
    for logs in session_means(rng, HISTORIES, before + RUNS, session_sd=0.005) + drift:
        tests = []
        for end in range(before + CANDIDATE_SESSIONS, len(logs) + 1):
            first = end - CANDIDATE_SESSIONS
            baseline = logs[:before] if pinned else logs[first - before : first]
            tests.append(timing_test(sessions(baseline, logs[first:end])))
        found.append(_first(tests, start=CANDIDATE_SESSIONS))
    return found


def _distances(rng: Generator, *, pinned: bool) -> list[int | None]:
    against = reference(rng)
    found = []
    for _ in range(HISTORIES):
        base = features(rng)
        worse = [DISTANCE * ((1 + DISTANCE_PER_RUN) ** run - 1) for run in range(1, RUNS + 1)]
        runs = [base, *(features(rng, worse=more, like=base, shared=ROUNDED) for more in worse)]
        distances = [frechet_distance(one, against) for one in runs]
        baselines = distances[:1] * RUNS if pinned else distances[:-1]
        found.append(_first([paired_test(a, b) for a, b in zip(baselines, distances[1:], strict=True)]))
    return found


def _first(tests: Sequence[Test], start: int = 1) -> int | None:
    """The first run that is REGRESSED, each judged by itself, as a gate that runs once a night would."""
    verdicts = (decide([test])[0].verdict for test in tests)
    return next((run for run, verdict in enumerate(verdicts, start) if verdict == "REGRESSED"), None)
