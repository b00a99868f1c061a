"""Times: processes interleaved in one session, and sessions against a stored baseline."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.random import Generator

from gate_simulation.draws import Array, interleaved, session_means
from gate_simulation.scenario import ALARMS, COMPARISONS, NONE, POWER, TIME_MARGIN, Promise, Scenario
from trilemma.statistics.contrasts import BASELINE_SESSIONS, CANDIDATE_SESSIONS, Contrast, sessions, welch
from trilemma.statistics.decision import Decision, Test, Verdict, confirmed, decide
from trilemma.statistics.margins import Margin

CALIBRATION_SESSIONS = 10


def timing_test(contrast: Contrast, margin: float = TIME_MARGIN) -> Test:
    """Returns the test of log times."""
    return Test.of_contrast(contrast, margin, better="lower")


def interleaved_scenarios() -> list[Scenario]:
    """Returns the rows of times of five processes a side in one session."""
    rows: tuple[tuple[str, str, Promise, dict[str, float]], ...] = (
        ("processes 0.3 %, sessions 2 %", "none", ALARMS, {"process_sd": 0.003, "session_sd": 0.02}),
        ("processes 1 %, sessions 2 %", "none", ALARMS, {"process_sd": 0.01, "session_sd": 0.02}),
        ("processes 3 %, sessions 2 %", "none", ALARMS, {"process_sd": 0.03, "session_sd": 0.02}),
        ("processes 0.3 %, drift of 3 %", "none", ALARMS, {"process_sd": 0.003, "drift": 0.03}),
        ("processes 0.3 %", "⅓ of the margin", ALARMS, {"process_sd": 0.003, "change": TIME_MARGIN / 3}),
        ("processes 1 %", "the margin", NONE, {"process_sd": 0.01, "change": TIME_MARGIN}),
        ("processes 0.3 %", "2 × margin", POWER, {"process_sd": 0.003, "change": 2 * TIME_MARGIN}),
        ("processes 1 %", "2 × margin", POWER, {"process_sd": 0.01, "change": 2 * TIME_MARGIN}),
        ("processes 3 %", "2 × margin", NONE, {"process_sd": 0.03, "change": 2 * TIME_MARGIN}),
    )
    design = "5 + 5 processes, interleaved"
    return [
        Scenario(design=design, noise=noise, change=change, draw=partial(_interleaved, **options), promise=promise)
        for noise, change, promise, options in rows
    ]


def stored_scenarios() -> list[Scenario]:
    """Returns the rows of two new sessions against five stored ones."""
    noisy, slow = "sessions 0.5 %, 1 in 20 is 10 % slower", {"session_sd": 0.005, "slow_share": 0.05}
    rows: tuple[tuple[str, str, str, Promise, partial[list[Verdict]]], ...] = (
        ("default", "sessions 0.5 %", "none", ALARMS, partial(_stored, session_sd=0.005)),
        ("default", "sessions 1 %", "none", ALARMS, partial(_stored, session_sd=0.01)),
        ("default", "sessions 2 %", "none", ALARMS, partial(_stored, session_sd=0.02)),
        ("default", noisy, "none", ALARMS, partial(_stored, **slow)),
        ("default", "sessions 0.5 %", "2 × margin", POWER, partial(_stored, session_sd=0.005, margins=2)),
        ("default", "sessions 1 %", "2 × margin", POWER, partial(_stored, session_sd=0.01, margins=2)),
        ("default", "sessions 2 %", "2 × margin", NONE, partial(_stored, session_sd=0.02, margins=2)),
        ("calibrated", "sessions 2 %", "none", ALARMS, partial(_calibrated, session_sd=0.02)),
        ("calibrated", "sessions 2 %", "2 × margin", NONE, partial(_calibrated, session_sd=0.02, margins=2)),
        ("default, confirmed", "sessions 2 %", "none", ALARMS, partial(_confirmed, session_sd=0.02)),
        ("default, confirmed", noisy, "none", ALARMS, partial(_confirmed, **slow)),
        ("default, confirmed", "sessions 1 %", "2 × margin", POWER, partial(_confirmed, session_sd=0.01, margins=2)),
        ("default, confirmed", "sessions 2 %", "2 × margin", NONE, partial(_confirmed, session_sd=0.02, margins=2)),
    )
    return [
        Scenario(
            design=f"5 stored + 2 new sessions; margin {margin}", noise=noise, change=change, draw=draw, promise=promise
        )
        for margin, noise, change, promise, draw in rows
    ]


def _interleaved(rng: Generator, *, change: float = 0.0, **options: float) -> list[Verdict]:
    baselines, candidates = interleaved(rng, COMPARISONS, change=change, **options)
    return [
        decide([timing_test(welch(baseline, candidate))])[0].verdict
        for baseline, candidate in zip(baselines, candidates, strict=True)
    ]


def _stored(rng: Generator, *, margins: float = 0, **options: float) -> list[Verdict]:
    baselines, candidates = _sides(rng, margins * TIME_MARGIN, **options)
    return [_decision(baseline, candidate).verdict for baseline, candidate in zip(baselines, candidates, strict=True)]


def _confirmed(rng: Generator, *, margins: float = 0, **options: float) -> list[Verdict]:
    """What was REGRESSED is measured in two further sessions against the same baseline."""
    baselines, candidates = _sides(rng, margins * TIME_MARGIN, **options)
    _, again = _sides(rng, margins * TIME_MARGIN, **options)
    return [
        confirmed(_decision(baseline, first), timing_test(sessions(baseline, second))).verdict
        for baseline, first, second in zip(baselines, candidates, again, strict=True)
    ]


def _calibrated(rng: Generator, *, session_sd: float, margins: float = 0) -> list[Verdict]:
    """Each comparison has a calibration of its own, and the planted change follows the margin that it found."""
    measured = session_means(rng, COMPARISONS, CALIBRATION_SESSIONS, session_sd=session_sd)
    of_difference = np.sqrt(1 / BASELINE_SESSIONS + 1 / CANDIDATE_SESSIONS)
    verdicts: list[Verdict] = []
    for sd, baseline, candidate in zip(
        measured.std(axis=1, ddof=1), *_sides(rng, 0.0, session_sd=session_sd), strict=True
    ):
        margin = Margin(relative=TIME_MARGIN, noise=float(sd * of_difference)).of_log(1.0)
        verdicts.append(_decision(baseline, candidate + margins * margin, margin).verdict)
    return verdicts


def _decision(baseline: Array, candidate: Array, margin: float = TIME_MARGIN) -> Decision:
    return decide([timing_test(sessions(baseline, candidate), margin)])[0]


def _sides(rng: Generator, change: float, **options: float) -> tuple[Array, Array]:
    baselines = session_means(rng, COMPARISONS, BASELINE_SESSIONS, **options)
    return baselines, session_means(rng, COMPARISONS, CANDIDATE_SESSIONS, **options) + change
