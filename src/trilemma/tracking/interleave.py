"""Two versions of a model timed in turn, A B B A A B B A ..., each time in a fresh process, nothing else running.

What drifts meanwhile, drifts for both, and a linear drift falls out of their difference but for one turn's worth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trilemma.errors import UserError
from trilemma.tracking.case import Case
from trilemma.tracking.processes import ProcessTiming, Told, time_process
from trilemma.tracking.side import Side

LEAST_PROCESSES = 2


@dataclass(frozen=True, kw_only=True)
class Interleaved:
    """One case's processes of both sides, in the order of time; fewer than planned where one failed or differed."""

    case: Case
    timings: tuple[ProcessTiming, ...]

    def side(self, name: str) -> list[ProcessTiming]:
        """Returns one side's processes."""
        return [timing for timing in self.timings if timing.side == name]


def interleave(
    case: Case,
    baseline: Side,
    candidate: Side,
    processes: int = 5,
    *,
    allow_busy: bool = False,
    told: Told = lambda done, total: None,
) -> Interleaved:
    """Times both sides in so many processes each; ends early when nothing could be concluded from more.

    Raises:
        UserError: fewer than two processes per side, or a side's version does not know timing jobs.
    """
    if processes < LEAST_PROCESSES:
        raise UserError(f"must be at least {LEAST_PROCESSES}, got {processes}.", where="--processes")
    timings: list[ProcessTiming] = []
    for number, side in enumerate(turns(baseline, candidate, processes)):
        timings.append(time_process(case, side, number, allow_busy=allow_busy))
        told(number + 1, 2 * processes)
        if timings[-1].status != "ok" or differing(timings):
            break
    return Interleaved(case=case, timings=tuple(timings))


def turns(a: Side, b: Side, processes: int) -> list[Side]:
    """Returns A B B A A B B A ..., with each side so many times."""
    return [side for pair in range(processes) for side in ((a, b) if pair % 2 == 0 else (b, a))]


def differing(timings: Sequence[ProcessTiming]) -> list[str]:
    """Returns the fields of execution and hardware that are not the same in all processes, with their values."""
    found: dict[str, str] = {}
    for timing in timings[1:]:
        before, after = execution_and_hardware(timings[0]), execution_and_hardware(timing)
        for name in {**before, **after}:
            if before.get(name) != after.get(name):
                found.setdefault(name, f"{name}: {before.get(name)} against {after.get(name)}")
    return list(found.values())


def facts(a: ProcessTiming, b: ProcessTiming) -> list[str]:
    """Returns what differs in the subject: ``knobs.truncation: 1.0 → 0.5``. It is what is compared, not a fault."""
    before, after = _subject(a), _subject(b)
    return [
        f"{name}: {before.get(name)} → {after.get(name)}"
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    ]


def execution_and_hardware(timing: ProcessTiming) -> dict[str, Any]:
    """Returns what all processes of a comparison share, by name as a run's record has it."""
    return {
        f"{kind}.{name}": value
        for kind, key in (("execution", timing.execution), ("hardware", timing.hardware))
        for name, value in key.get("fields", {}).items()
    }


def _subject(timing: ProcessTiming) -> dict[str, Any]:
    told: dict[str, Any] = {**timing.subject, **{f"code {name}": value for name, value in timing.tool.items()}}
    return {
        (name if inner is None else f"{name}.{inner}"): value
        for name, whole in told.items()
        for inner, value in (whole.items() if isinstance(whole, Mapping) else [(None, whole)])
    }
