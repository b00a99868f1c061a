"""Throughput over batch sizes: up to the largest that fits, or that still gains something."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from trilemma.timing.window import FEWEST_CALLS, Status, Window, without_times

if TYPE_CHECKING:
    import torch

SCENARIO = "offline"
AUTO_SIZES = tuple(2**power for power in range(13))
GAIN = 1.03
"""A larger batch gains where it is faster by this factor: less is what clocks and memory layout move a time by."""
PATIENCE = 2
"""So many sizes in turn without a gain end the sweep: one alone may be a size that the kernels dislike."""
ALL_CALLS = 2 * FEWEST_CALLS  # of a window at the least: as many to warm up as to time


class BatchSweep:
    """Goes through batch sizes, smallest first.

    Where none has fitted yet, a size that does not fit is halved until one does: that is the back-off. Any other error
    is the model's own where nothing was timed before; at a larger size it is the end of the sweep, and a row.

    Args:
        measure: the window of a batch size, given the seconds that it may take.
        auto: whether to stop where nothing is gained; sizes beyond the end are then not mentioned.
        budget_seconds: of all windows, warm-up included and compilation left out; a size that would exceed it, by the
            time per image before it, is skipped.
        too_large: (the last size that fitted, the next) → why the next must not be tried, or None.
    """

    def __init__(
        self,
        measure: Callable[[int, float], Window],
        device: torch.device,
        *,
        auto: bool,
        budget_seconds: float,
        too_large: Callable[[int, int], str | None] = lambda size, next_size: None,
    ) -> None:
        self.measure, self.device, self.auto = measure, device, auto
        self.budget_seconds, self.too_large = budget_seconds, too_large
        self.windows: list[Window] = []

    def run(self, sizes: Sequence[int]) -> list[Window]:
        """Returns the window of every size that was tried, or skipped for a reason."""
        waiting = sorted(sizes)
        while waiting:
            size = waiting.pop(0)
            if (reason := self._obstacle(size)) is not None:
                self._add(size, "skipped", reason)
                waiting = [] if self.auto else waiting
            elif not self._try(size):
                waiting = self._after_failure(size, waiting)
        return self.windows

    def _try(self, size: int) -> bool:
        try:
            self.windows.append(self.measure(size, self._left()))
        except Exception as error:
            if not self._timed():
                raise
            self._add(size, "failed", f"{type(error).__name__}: {error}")
        return self.windows[-1].status in ("ok", "void")

    def _after_failure(self, size: int, waiting: list[int]) -> list[int]:
        if not self.auto:
            for larger in waiting:
                self._add(larger, "skipped", f"a batch of {size} could not be timed")
        return [size // 2] if not self._timed() and size > 1 else []

    def _obstacle(self, size: int) -> str | None:
        timed = self._timed()
        if not timed:
            return None
        last = timed[-1]
        if self.auto and self._no_longer_gains(timed):
            return f"no gain over the last {PATIENCE} batch sizes"
        needed = size * last.seconds_per_image * ALL_CALLS
        if needed > self._left():
            return f"would take about {needed:.0f} s, more than is left of the budget"
        return self.too_large(last.batch_size, size)

    def _left(self) -> float:
        """Returns the seconds of the budget that the windows so far have left."""
        return self.budget_seconds - sum(window.seconds for window in self.windows)

    def _no_longer_gains(self, timed: list[Window]) -> bool:
        rates = [window.images_per_second for window in timed if window.status == "ok"]
        before, late = rates[:-PATIENCE], rates[-PATIENCE:]
        return bool(before) and max(late) < GAIN * max(before)

    def _timed(self) -> list[Window]:
        return [window for window in self.windows if window.status in ("ok", "void")]

    def _add(self, size: int, status: Status, reason: str) -> None:
        self.windows.append(without_times(SCENARIO, size, status, reason, self.device))
