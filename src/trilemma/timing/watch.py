"""What must not happen while the clock runs: a compilation, or a GPU that is slowed down."""

from __future__ import annotations

import time
from collections.abc import Callable

from trilemma.timing.compilation import compilations
from trilemma.timing.nvml import POWER_CAP, Nvml, slowdowns

LEAST_SECONDS = 0.1
"""Between two looks at the GPU: asking takes about a millisecond, in which it has nothing to do."""


class Watch:
    """Looks on during a window, and says afterwards what speaks against it.

    Args:
        gpu: None where nobody tells: then only compilations are seen.
        compiled: how many graphs have been compiled so far.
    """

    def __init__(self, gpu: Nvml | None = None, compiled: Callable[[], int] = compilations) -> None:
        self.gpu, self.compiled = gpu, compiled
        self.begin()

    def begin(self) -> None:
        """Starts a window."""
        self.before, self.looked_at = self.compiled(), -LEAST_SECONDS
        self.seen: int | None = None
        self.look()

    def look(self) -> None:
        """Looks at the GPU, unless it did so a moment ago."""
        now = time.perf_counter()
        if now - self.looked_at >= LEAST_SECONDS:
            self._ask()
            self.looked_at = now

    def objection(self) -> str | None:
        """Returns why nothing that was timed in this window counts; None where nothing speaks against it."""
        self._ask()
        if (graphs := self.compiled() - self.before) > 0:
            return f"torch.compile ran inside the window: {graphs} more graph{'s' if graphs > 1 else ''}"
        if found := slowdowns(self.seen):
            return f"the GPU was slowed down inside the window: {', '.join(found)}"
        return None

    @property
    def power_capped(self) -> bool | None:
        """Whether the GPU was at its power limit at any look; None where it never told, of slowdowns neither."""
        return None if self.seen is None else bool(self.seen & POWER_CAP)

    def _ask(self) -> None:
        found = None if self.gpu is None else self.gpu.reasons()
        if found is not None:
            self.seen = (self.seen or 0) | found
