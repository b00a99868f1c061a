"""What became of all that a run had planned: images by model and set; of a run that only times, processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from trilemma.protocol import SampleSet
from trilemma.report.numbers import count
from trilemma.runner.plan import images_of

if TYPE_CHECKING:
    from trilemma.report.record import Run

UNKNOWN = "not recorded"
HEADER = ("Planned", "Done", "Failed", "Filtered", "Not started")


@dataclass(frozen=True, kw_only=True)
class Count:
    """So many were planned, and became this; None where the record does not say.

    Attributes:
        failed: those of which an error is recorded, and all that a model which failed has not made.
        filtered: made, and then kept back by a filter of the model's own.
        waiting: not started.
    """

    planned: int | None = None
    done: int | None = None
    failed: int | None = None
    filtered: int | None = None
    waiting: int | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        """A text for each of :data:`HEADER`."""
        numbers = (self.planned, self.done, self.failed, self.filtered, self.waiting)
        return tuple(UNKNOWN if number is None else count(number) for number in numbers)


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """One model: its state in words, everything that was planned for it, and the same set by set."""

    model: str
    state: str
    whole: Count
    sets: Mapping[str, Count]


def only_times(run: Run) -> bool:
    """Whether the run keeps no image, so that processes are what it planned."""
    return bool((run.record.spec.get("speed") or {}).get("processes"))


def coverage(run: Run) -> list[Coverage]:
    """Returns what became of each model's plan, in the order of the run."""
    return [_processes(run, model) if only_times(run) else _images(run, model) for model in run.models]


def _processes(run: Run, model: str) -> Coverage:
    done = len(run.record.models[model].get("processes") or [])
    whole = _count(int(run.record.spec["speed"]["processes"]), Counter(ok=done), failed=bool(run.error(model)))
    return Coverage(model=model, state=_state(run, model, whole), whole=whole, sets={})


def _images(run: Run, model: str) -> Coverage:
    seen = _seen(run, model)
    recorded = run.record.counts.get(model, {})
    planned, failed = _planned(run), bool(run.error(model))
    total = recorded.get("planned", sum(planned.values()) if planned else None)
    if total is None or sum(sum(one.values()) for one in seen.values()) < recorded.get("done", 0):
        # The rows of its images are not in this record, or not all of them.
        whole = _recorded(total, recorded)
        sets = {name: Count(planned=images) for name, images in planned.items()}
    else:
        whole = _count(total, sum(seen.values(), Counter()), failed=failed)
        sets = {name: _count(images, seen.get(name, Counter()), failed=failed) for name, images in planned.items()}
    return Coverage(model=model, state=_state(run, model, whole), whole=whole, sets=sets)


def _seen(run: Run, model: str) -> dict[str, Counter[str]]:
    """Returns for each set how many rows there are of each status."""
    rows = run.samples[run.samples["model"] == model]
    groups = rows.groupby("set", sort=False)["status"]
    return {str(name): Counter(map(str, statuses)) for name, statuses in groups}


def _planned(run: Run) -> dict[str, int]:
    """Returns the images that each set asks for; {} where the record does not hold its protocol."""
    protocol = run.record.spec.get("protocol")
    entries = protocol.get("sets", []) if isinstance(protocol, dict) else []
    return {str(entry["name"]): images_of(_set(entry), run.record.spec.get("samples")) for entry in entries}


def _set(entry: Mapping[str, Any]) -> SampleSet:
    known = {field.name for field in fields(SampleSet)}
    return SampleSet(**({"prompts": "none"} | {name: value for name, value in entry.items() if name in known}))


def _recorded(planned: int | None, counts: Mapping[str, int]) -> Count:
    done, failed = counts.get("done"), counts.get("failed")
    if planned is None or done is None or failed is None:
        return Count(planned=planned, done=done, failed=failed)
    return Count(planned=planned, done=done, failed=failed, waiting=max(planned - done - failed, 0))


def _count(planned: int, seen: Counter[str], *, failed: bool) -> Count:
    left = max(planned - sum(seen.values()), 0)
    return Count(
        planned=planned,
        done=seen["ok"],
        filtered=seen["filtered"],
        failed=sum(seen.values()) - seen["ok"] - seen["filtered"] + (left if failed else 0),
        waiting=0 if failed else left,
    )


def _state(run: Run, model: str, whole: Count) -> str:
    if run.error(model):
        return "failed"
    if whole.planned is None or whole.done is None:
        return "unfinished" if whole.done else "not run"
    if whole.done + (whole.failed or 0) + (whole.filtered or 0) < whole.planned:
        return "unfinished" if whole.done else "not run"
    missing = [
        f"{count(number)} {word}" for number, word in ((whole.failed, "failed"), (whole.filtered, "filtered")) if number
    ]
    if not whole.planned:
        return "nothing was planned"
    return f"complete, {' and '.join(missing)}" if missing else "complete"
