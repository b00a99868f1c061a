"""One timed call: wall time with the device synchronised at both ends, and the peak of memory after it."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class Call:
    """A row of timings. ``wall_ns`` is None where a call was skipped, and ``reason`` says why.

    Attributes:
        scenario: "load", "first_call", "warmup", "offline", "single_stream" or "reference_decoder".
        peak_rss_bytes: the most memory that the process ever held, runtime included.
        allocated_bytes: the most that torch had allocated on a CUDA device since the last reset; None elsewhere.
    """

    scenario: str
    batch_size: int
    call: int
    n_images: int
    wall_ns: int | None = None
    peak_rss_bytes: int | None = None
    allocated_bytes: int | None = None
    device: str
    status: str = "ok"
    reason: str | None = None


def timed_call(work: Callable[[], object], device: torch.device, *, scenario: str, size: int, number: int) -> Call:
    """Runs ``work`` once, end to end, and returns its row."""
    synchronize(device)
    start = time.perf_counter_ns()
    work()
    synchronize(device)
    wall = time.perf_counter_ns() - start
    return Call(
        scenario=scenario,
        batch_size=size,
        call=number,
        n_images=size,
        wall_ns=wall,
        peak_rss_bytes=peak_rss_bytes(),
        allocated_bytes=allocated_bytes(device),
        device=device.type,
    )


def synchronize(device: torch.device) -> None:
    """Waits until the device has done all its work; without it only the launch would be timed."""
    if device.type == "cuda":
        import torch

        torch.cuda.synchronize(device)


def peak_rss_bytes() -> int:
    """Returns the largest resident set of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, Linux KiB


def allocated_bytes(device: torch.device) -> int | None:
    """Returns the peak of torch's allocations on a CUDA device since the last reset, None elsewhere."""
    if device.type != "cuda":
        return None
    import torch

    return torch.cuda.max_memory_allocated(device)


def reset_allocated(device: torch.device) -> None:
    """Starts the peak of torch's allocations anew."""
    if device.type == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats(device)
