"""The time of each stage of a call: events in a CUDA device's queue, elsewhere the host's clock."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class StageClock:
    """Listens to the stages of a call (see :mod:`trilemma.stages`) and adds them up by name.

    An event waits for nothing: the device passes it when the work before it is done, so that marking a stage does not
    hold up the next. Events are kept and used again. A stage that is entered within another counts for both.
    """

    def __init__(self, device: torch.device) -> None:
        self.on_device = device.type == "cuda"
        self._host: Counter[str] = Counter()
        self._marks: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []
        self._spare: list[torch.cuda.Event] = []

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Times one stage."""
        if self.on_device:
            start = self._mark()
            yield
            self._marks.append((name, start, self._mark()))
        else:
            before = time.perf_counter_ns()
            yield
            self._host[name] += time.perf_counter_ns() - before

    def take(self) -> dict[str, int]:
        """Returns the nanoseconds of each stage and begins anew; the device must have done all its work."""
        total = Counter(self._host)
        for name, start, end in self._marks:
            total[name] += round(start.elapsed_time(end) * 1e6)
        self.clear()
        return dict(total)

    def clear(self) -> None:
        """Forgets what a call that failed has left."""
        self._spare += [event for _, *events in self._marks for event in events]
        self._marks.clear()
        self._host.clear()

    def _mark(self) -> torch.cuda.Event:
        import torch

        event = self._spare.pop() if self._spare else torch.cuda.Event(enable_timing=True)
        event.record()
        return event
