"""What torch.compile has done in this process so far, by its own count."""

from __future__ import annotations

import sys
from typing import Any


def compilations() -> int:
    """Returns the number of graphs that were compiled; one more inside a measured window makes it worthless."""
    told = _utils()
    return 0 if told is None else int(told.counters["stats"]["unique_graphs"])


def compile_seconds() -> float | None:
    """Returns the seconds that compilation has taken; None where nothing was compiled."""
    told = _utils()
    seconds = 0.0 if told is None else float(told.calculate_time_spent()["total_wall_time"])
    return seconds or None


def _utils() -> Any:
    """The compiler's own module where anybody has loaded it: loading it takes a second, and changes what is timed."""
    return sys.modules.get("torch._dynamo.utils")
