"""One measured window: a batch size warmed up, timed call by call, and judged by what happened meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from trilemma.stages import listening
from trilemma.timing.clock import END_TO_END, WARMUP, Call, timed_call
from trilemma.timing.cuda import SparingState, reset_allocated
from trilemma.timing.memory import is_out_of_memory, release
from trilemma.timing.stage_clock import StageClock
from trilemma.timing.sweep import MOST_CALLS, Batch
from trilemma.timing.warmup import WarmupRule, warm_up
from trilemma.timing.watch import Watch

if TYPE_CHECKING:
    import torch

FEWEST_CALLS = 3
"""That are timed however long they take."""

Status = Literal["ok", "void", "out_of_memory", "failed", "skipped"]


@dataclass(frozen=True, kw_only=True)
class WindowRule:
    """How long a window is: until both the least are reached, or else ``most_seconds`` and :data:`FEWEST_CALLS`.

    The most is what a user waits for, compilation apart: the warm-up is part of it, and so is a first attempt that was
    void.
    """

    least_calls: int
    least_seconds: float
    most_seconds: float
    warmup: WarmupRule = WarmupRule()

    def is_enough(self, calls: int, seconds: float) -> bool:
        """Whether the clock may stop after so many calls and seconds."""
        if calls >= self.least_calls and seconds >= self.least_seconds:
            return True
        return calls >= MOST_CALLS or (calls >= FEWEST_CALLS and seconds >= self.most_seconds)

    def capped(self, seconds: float) -> WindowRule:
        """Returns the rule of a window that takes so many seconds at most."""
        return replace(self, most_seconds=min(self.most_seconds, max(0.0, seconds)))

    def after(self, rows: Sequence[Call]) -> WindowRule:
        """Returns the rule for what these calls have left of the time."""
        return self.capped(self.most_seconds - seconds_of(rows))


@dataclass(frozen=True, kw_only=True)
class Window:
    """What one batch size gave.

    Attributes:
        rows: every call, and every stage of the measured ones: warm-up, and an attempt that was void, included.
        power_capped: whether the GPU was at its power limit; None where nobody tells, of slowdowns neither.
    """

    scenario: str
    batch_size: int
    status: Status = "ok"
    reason: str | None = None
    warmup_calls: int = 0
    warmup_seconds: float = 0.0
    converged: bool | None = None
    power_capped: bool | None = None
    rows: tuple[Call, ...] = ()

    @property
    def seconds(self) -> float:
        """What all its calls took, whether they count or not, but for those that compiled."""
        return seconds_of(self.rows)

    @property
    def seconds_per_image(self) -> float:
        """What these calls took for an image; 0 without any."""
        images = sum(row.n_images for row in _uncompiled(self.rows))
        return self.seconds / images if images else 0.0

    @property
    def images_per_second(self) -> float:
        """The rate of its measured calls; 0 without any."""
        timed = [row for row in self.rows if (row.scenario, row.stage, row.status) == (self.scenario, END_TO_END, "ok")]
        nanoseconds = sum(row.wall_ns or 0 for row in timed)
        return sum(row.n_images for row in timed) / (nanoseconds / 1e9) if nanoseconds else 0.0


def seconds_of(rows: Sequence[Call]) -> float:
    """Returns what whole calls took together; those that compiled are left out, for they tell nothing of the next."""
    return sum(row.wall_ns or 0 for row in _uncompiled(rows)) / 1e9


def without_times(scenario: str, size: int, status: Status, reason: str, device: torch.device) -> Window:
    """Returns the window of a batch size that was not timed: one row, which says why."""
    row = Call(scenario=scenario, batch_size=size, call=0, n_images=0, device=device.type, status=status, reason=reason)
    return Window(scenario=scenario, batch_size=size, status=status, reason=reason, rows=(row,))


class Timer:
    """Times batches of one model in this process; no two calls get the same prompts and seeds.

    The peak of allocated memory is that since this batch size came up. What a CUDA graph computes in is its own, and
    shows only while the graph is recorded: in a warm-up, or for batch 1 in the first call of the process.
    """

    def __init__(self, batch: Batch, device: torch.device, watch: Watch) -> None:
        self.batch, self.device, self.watch = batch, device, watch
        self.stages, self.state = StageClock(device), SparingState()
        self.calls = self.size = 0

    def call(self, scenario: str, size: int, number: int) -> list[Call]:
        """Times one call, end to end; its stages follow as rows of their own."""
        if size != self.size:
            reset_allocated(self.device)
        self.calls, self.size = self.calls + 1, size
        with listening(self.stages):
            whole = timed_call(
                partial(self.batch, size, self.calls),
                self.device,
                scenario=scenario,
                size=size,
                number=number,
                state=self.state,
                graphs=self.watch.compiled,
            )
        return [whole, *[self._stage(whole, name, spent) for name, spent in self.stages.take().items()]]

    def window(self, scenario: str, size: int, rule: WindowRule) -> Window:
        """Times a batch size; once more where the first attempt is void. A batch that does not fit is a window too."""
        first = self._attempt(scenario, size, rule)
        if first.status != "void":
            return first
        again = self._attempt(scenario, size, rule.after(first.rows))
        return replace(again, rows=(*first.rows, *again.rows))

    def did_not_fit(self, scenario: str, size: int, reason: str) -> Window:
        """Returns the window of a batch that did not fit, once what is left of it is gone.

        Its error must be forgotten by now.
        """
        self.stages.clear()
        release(self.device)
        return without_times(scenario, size, "out_of_memory", reason, self.device)

    def _attempt(self, scenario: str, size: int, rule: WindowRule) -> Window:
        try:
            return self._timed(scenario, size, rule)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            reason = str(error).splitlines()[0]
        return self.did_not_fit(scenario, size, reason)

    def _timed(self, scenario: str, size: int, rule: WindowRule) -> Window:
        warm = warm_up(lambda number: self.call(WARMUP, size, number)[0], rule.warmup.capped(rule.most_seconds))
        self.watch.begin()
        rows = self._measured(lambda number: self.call(scenario, size, number), rule.after(warm.calls))
        objection = self.watch.objection()
        if objection is not None:
            rows = [replace(row, status="void", reason=objection) for row in rows]
        return Window(
            scenario=scenario,
            batch_size=size,
            status="ok" if objection is None else "void",
            reason=objection,
            warmup_calls=len(warm.calls),
            warmup_seconds=warm.seconds,
            converged=warm.converged,
            power_capped=self.watch.power_capped,
            rows=(*warm.calls, *rows),
        )

    def _measured(self, call: Callable[[int], list[Call]], rule: WindowRule) -> list[Call]:
        rows: list[Call] = []
        calls, seconds = 0, 0.0
        while not rule.is_enough(calls, seconds):
            whole, *stages = call(calls)
            rows += [whole, *stages]
            calls, seconds = calls + 1, seconds + (whole.wall_ns or 0) / 1e9
            self.watch.look()
        return rows

    def _stage(self, whole: Call, name: str, nanoseconds: int) -> Call:
        """The row of a stage says nothing but its time, on the clock that it was had by."""
        on_device = self.stages.on_device
        return Call(
            scenario=whole.scenario,
            stage=name,
            batch_size=whole.batch_size,
            call=whole.call,
            n_images=whole.n_images,
            warmup=whole.warmup,
            wall_ns=None if on_device else nanoseconds,
            device_ns=nanoseconds if on_device else None,
            device=whole.device,
        )


def _uncompiled(rows: Sequence[Call]) -> list[Call]:
    return [row for row in rows if row.stage == END_TO_END and not row.compiled]
