"""Measures how much identical versions differ: times in separate sessions, quality between complete runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trilemma.card import Card
from trilemma.errors import UserError
from trilemma.identity import file_digest
from trilemma.protocol import Protocol
from trilemma.runner.environment import tool
from trilemma.runner.timing_job import SCENARIOS
from trilemma.store.events import now
from trilemma.store.run import Run
from trilemma.tracking.calibration import (
    SCHEMA,
    CalibratedProtocol,
    CalibratedRun,
    Calibration,
    HardwareClass,
    Noise,
    calibration_path,
    without_batches,
)
from trilemma.tracking.case import Case, case_of
from trilemma.tracking.processes import ProcessTiming, time_process
from trilemma.tracking.repeated_runs import check_repetitions, quality_noise, sigma_of
from trilemma.tracking.side import Side, own_side

LEAST_SESSIONS = 2

Told = Callable[[str, int, int], None]


class CalibrationFailed(Exception):
    """A process failed, or the machine was busy: nobody's input is wrong, and nothing is written."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is calibrated.

    Attributes:
        sessions: how often each series is timed; between two of its turns all others have theirs.
        batch_size: of "offline"; None is the protocol's own.
        runs: complete runs of one version, whose differences are the noise of quality.
        results: the workspace's folder, in which the calibration will lie. replace: one that lies there already.
    """

    protocol: Protocol
    cards: tuple[Card, ...]
    results: Path
    sessions: int = 5
    batch_size: int | None = None
    device: str = "auto"
    runs: tuple[Run, ...] = ()
    replace: bool = False
    allow_busy: bool = False

    def check(self) -> None:
        """Raises UserError for what can be known to be wrong before anything is timed."""
        if self.sessions < LEAST_SESSIONS:
            raise UserError(f"must be at least {LEAST_SESSIONS}, got {self.sessions}.", where="--sessions")
        if not self.cards:
            raise UserError("no model is named.", hint="Give some: --models gan,var.")
        if len({run.record.run_id for run in self.runs}) < len(self.runs):
            raise UserError("names a run twice: it does not differ from itself.", where="--runs")
        if len(self.runs) == 1:
            raise UserError("one run has nothing to differ from.", where="--runs", hint="Give two or more.")
        for run in self.runs:
            spec = run.record.spec["protocol"]
            if (spec["name"], spec["version"]) != (self.protocol.name, self.protocol.version):
                raise UserError(f'this run is not of the protocol "{self.protocol.name}".', where=run.record.run_id)
        for card in self.cards:
            check_repetitions(self.runs, card.name)

    def check_machine(self, first: ProcessTiming) -> Path:
        """Returns where the calibration will lie; raises UserError where one does, or the runs had another machine."""
        digest = first.hardware["digest"]
        for run in self.runs:
            if run.record.keys[self.cards[0].name]["hardware"]["digest"] != digest:
                raise UserError("this run is of another class of machine than this one.", where=run.record.run_id)
        path = calibration_path(self.results, self.protocol.name, digest)
        if path.exists() and not self.replace:
            raise UserError("there is a calibration already.", where=str(path), hint="Add --replace to replace it.")
        return path


def calibrate(plan: Plan, told: Told) -> tuple[Path, Calibration]:
    """Returns the calibration, not yet written, and where it belongs.

    Raises:
        UserError: a plan that makes no sense, more than one class of machine, a calibration that is there already.
        CalibrationFailed: a process failed, or the machine was busy.
    """
    plan.check()
    cases = list(_cases(plan))
    timings: list[list[ProcessTiming]] = [[] for _ in cases]
    for done, (position, timing) in enumerate(_sessions(plan, cases), start=1):
        path = plan.check_machine(timing)
        timings[position].append(timing)
        _check_alike(timings[0][0], timing)
        told("timing", done, plan.sessions * len(cases))
    noises = [_noise(case, series) for (case, _), series in zip(cases, timings, strict=True)]
    load = max(timing.load_of_others for series in timings for timing in series)
    return path, _calibration(plan, timings[0][0], noises, load)


def _cases(plan: Plan) -> Iterator[tuple[Case, Side]]:
    for card in plan.cards:
        for scenario in SCENARIOS:
            size = plan.batch_size if scenario == "offline" else None
            yield case_of(card.name, plan.protocol, scenario, size, plan.device), own_side(card)


def _sessions(plan: Plan, cases: Sequence[tuple[Case, Side]]) -> Iterator[tuple[int, ProcessTiming]]:
    for session in range(plan.sessions):
        for position, (case, side) in enumerate(cases):
            timing = time_process(case, side, session, allow_busy=plan.allow_busy)
            if timing.status != "ok":
                raise CalibrationFailed(f"{case.title}: {timing.reason}")
            yield position, timing


def _check_alike(first: ProcessTiming, timing: ProcessTiming) -> None:
    alike = first.hardware == timing.hardware and _execution(first) == _execution(timing)
    if not alike:
        raise UserError("the machine changed meanwhile: times of different machines cannot be mixed.")


def _execution(timing: ProcessTiming) -> dict[str, object]:
    return without_batches(timing.execution["fields"])


def _calibration(plan: Plan, first: ProcessTiming, times: Sequence[Noise], load: float) -> Calibration:
    quality = [noise for card in plan.cards for noise in quality_noise(plan.runs, card.name)]
    return Calibration(
        schema=SCHEMA,
        created=now(),
        tool=tool(),
        protocol=CalibratedProtocol(name=plan.protocol.name, version=plan.protocol.version),
        hardware=HardwareClass(digest=first.hardware["digest"], fields=dict(first.hardware["fields"])),
        execution=_execution(first),
        sessions=plan.sessions,
        load_of_others=round(load, 3),
        series=(*times, *quality),
        runs=tuple(CalibratedRun(run_id=r.record.run_id, sha256=file_digest(r.folder.record)) for r in plan.runs),
    )


def _noise(case: Case, timings: Sequence[ProcessTiming]) -> Noise:
    logs = [math.log(timing.seconds) for timing in timings if timing.seconds is not None]
    return Noise(
        model=case.model,
        metric=case.metric,
        sigma=sigma_of(logs),
        pairs=math.comb(len(logs), 2),
        unit="log",
        method="processes of separate sessions",
        batch_size=case.batch_size,
    )
