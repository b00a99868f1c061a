"""Times models in fresh processes, one after the other: the process, not the call, is the unit of replication."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from trilemma.card import Card
from trilemma.errors import UserError
from trilemma.protocol import Protocol
from trilemma.runner.busy import BUSY_CORES, Snapshot
from trilemma.runner.launch import WORKER_DIED, Ended, Message, run_worker
from trilemma.runner.timing_job import Scenario
from trilemma.store.events import now
from trilemma.store.tables import TIMINGS, read_table
from trilemma.tracking.case import Case, case_of
from trilemma.tracking.side import Side, own_side

Told = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class ProcessTiming:
    """What one fresh process gave.

    Attributes:
        side: "A" or "B". number: its place in the order of time, from 0. started: UTC.
        status: "failed": it gave no time; "busy": it did, but the machine had something else to do. reason: why.
        seconds: the median of its calls; None where it failed.
        rows: its calls as its worker left them, warm-up included.
        subject: what may differ between two sides: revision, knobs, dtype, parameters; tool: version and commit.
        execution, hardware: what may not: digests with their fields.
        load_of_others: how many cores other processes kept busy meanwhile.
    """

    side: str
    number: int
    started: str
    status: Literal["ok", "failed", "busy"] = "ok"
    reason: str | None = None
    seconds: float | None = None
    rows: tuple[Mapping[str, Any], ...] = ()
    subject: Mapping[str, Any] = field(default_factory=dict)
    tool: Mapping[str, Any] = field(default_factory=dict)
    execution: Mapping[str, Any] = field(default_factory=dict)
    hardware: Mapping[str, Any] = field(default_factory=dict)
    load_of_others: float = 0.0


def time_processes(
    card: Card,
    protocol: Protocol,
    scenario: Scenario,
    batch_size: int | None,
    processes: int,
    *,
    device: str = "auto",
    allow_busy: bool = False,
    told: Told = lambda done, total: None,
) -> list[ProcessTiming]:
    """Times a model of this checkout in so many fresh processes; ends with the first that failed or was disturbed.

    Raises:
        UserError: the protocol times nothing, or the batch size is impossible.
    """
    case, side = case_of(card.name, protocol, scenario, batch_size, device), own_side(card)
    timings: list[ProcessTiming] = []
    for number in range(processes):
        timings.append(time_process(case, side, number, allow_busy=allow_busy))
        told(number + 1, processes)
        if timings[-1].status != "ok":
            break
    return timings


def time_process(case: Case, side: Side, number: int = 0, *, allow_busy: bool = False) -> ProcessTiming:
    """Times one fresh process; once more where the machine was busy, and then says so.

    Raises:
        UserError: the side's version does not know timing jobs, or another version ran in its place.
    """
    timing = _time_process(case, side, number, allow_busy)
    return _time_process(case, side, number, allow_busy) if timing.status == "busy" else timing


def _time_process(case: Case, side: Side, number: int, allow_busy: bool) -> ProcessTiming:
    heard: dict[str, Message] = {}
    common: dict[str, Any] = {"side": side.name, "number": number, "started": now()}
    with tempfile.TemporaryDirectory(prefix="trilemma-timing-") as name:
        folder = Path(name)
        timings = folder / "timings.parquet"
        job = case.job(side.card, timings).write(folder / "job.json")
        before = Snapshot.take()
        log = folder / "worker.log"
        ended = run_worker(job, log, lambda m: heard.update({m["kind"]: m}), interpreter=side.interpreter)
        common["load_of_others"] = load = before.cores_until(Snapshot.take())
        _check_version(side, heard, ended)
        if ended.error is not None:
            return ProcessTiming(**common, status="failed", reason=_reason(ended.error))
        rows, seconds, reason = _read(timings, case)
    told = {name: heard.get("ready", {}).get(name, {}) for name in ("subject", "tool", "execution", "hardware")}
    if seconds is None:
        return ProcessTiming(**common, **told, status="failed", reason=reason, rows=rows)
    if load > BUSY_CORES and not allow_busy:
        busy = f"busy machine: other processes used {load:.1f} cores"
        return ProcessTiming(**common, **told, status="busy", reason=busy, rows=rows, seconds=seconds)
    return ProcessTiming(**common, **told, rows=rows, seconds=seconds)


def _check_version(side: Side, heard: Mapping[str, Message], ended: Ended) -> None:
    """A worker that does not accept the job is of a version that has none of the kind."""
    if "accepted" not in heard:
        if "failed" not in heard:
            return  # it died without a word: a failure like any other
        error = ended.error or {}
        raise UserError(
            f"the checkout at {side.root} cannot be timed: its version does not know timing jobs.",
            hint=f"It said: {error.get('type')}: {error.get('message')}",
        )
    package = Path(heard["accepted"]["package"])
    if side.package is not None and package != side.package.resolve():
        raise UserError(f"the checkout at {side.root} cannot be timed: its Python imports {package} instead.")


def _reason(error: Mapping[str, str]) -> str:
    """One line: of a process that died, the last thing that it printed too."""
    if error["type"] == UserError.__name__:
        return error["message"]
    if error["type"] != WORKER_DIED:
        return f"{error['type']}: {error['message']}"
    return " Its log ends: ".join([error["message"], *error["traceback"].strip().splitlines()[-1:]])


def _read(path: Path, case: Case) -> tuple[tuple[Mapping[str, Any], ...], float | None, str | None]:
    """Returns the rows, the median of the timed calls, and why there is none."""
    try:
        rows = tuple(read_table(path, TIMINGS).to_pylist())
        timed = [row["wall_ns"] for row in rows if row["scenario"] == case.scenario and row["status"] == "ok"]
    except (UserError, KeyError) as error:
        return (), None, f"its timings cannot be read: {error}"
    if not timed or any(nanoseconds is None or nanoseconds <= 0 for nanoseconds in timed):
        return rows, None, "its calls have no time above 0"
    return rows, float(np.median(timed)) / 1e9, None
