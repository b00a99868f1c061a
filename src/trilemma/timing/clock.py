"""One timed call: wall time with the device synchronised at both ends, and the peak of memory after it."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trilemma.timing.compilation import compilations
from trilemma.timing.cuda import DeviceStopwatch, device_state

if TYPE_CHECKING:
    import torch

WARMUP = "warmup"  # the scenario of calls at the measured shape before the clock starts
END_TO_END = "e2e"
"""The stage that is a whole call."""
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True, kw_only=True)
class Call:
    """A row of timings. ``wall_ns`` is None where a call was skipped, and ``reason`` says why.

    Attributes:
        scenario: "load", "first_call", "warmup", "offline", "single_stream" or "reference_decoder".
        stage: "load"; "e2e", from the prompts to the images on the host; or a stage of such a call (trilemma.stages).
        compiled: whether torch compiled anything in it: what that took is none of the model's speed.
        peak_rss_bytes: the most memory that the process ever held, runtime included.
        device_ns: from the first to the last of the call's work on a CUDA device's own clock.
        allocated_bytes, reserved_bytes: the most that torch had allocated on a CUDA device, and the most that it had
            taken from it, since the last reset.
        sm_mhz, temp_c, power_w: of a CUDA device right after the call; None where torch finds no NVML to ask.
        status: "ok"; "skipped", "out_of_memory" or "failed", of a batch size without times; "void", of times that do
            not count.
    """

    scenario: str
    stage: str = END_TO_END
    batch_size: int
    call: int
    n_images: int
    warmup: bool = False
    compiled: bool = False
    wall_ns: int | None = None
    device_ns: int | None = None
    peak_rss_bytes: int | None = None
    allocated_bytes: int | None = None
    reserved_bytes: int | None = None
    sm_mhz: int | None = None
    temp_c: int | None = None
    power_w: float | None = None
    device: str
    status: str = "ok"
    reason: str | None = None


def timed_call(
    work: Callable[[], object],
    device: torch.device,
    *,
    scenario: str,
    size: int,
    number: int,
    state: Callable[[torch.device], dict[str, Any]] = device_state,
    graphs: Callable[[], int] = compilations,
) -> Call:
    """Runs ``work`` once, end to end, and returns its row.

    Args:
        state: fills the columns of a CUDA device. graphs: how many have been compiled so far.
    """
    stopwatch, before = DeviceStopwatch(device), graphs()
    synchronize(device)
    start = time.perf_counter_ns()
    stopwatch.start()
    work()
    stopwatch.stop()
    synchronize(device)
    wall = time.perf_counter_ns() - start
    return Call(
        scenario=scenario,
        batch_size=size,
        call=number,
        n_images=size,
        warmup=scenario == WARMUP,
        compiled=graphs() > before,
        wall_ns=wall,
        device_ns=stopwatch.elapsed_ns(),
        peak_rss_bytes=peak_rss_bytes(),
        **state(device),
        device=device.type,
    )


def synchronize(device: torch.device) -> None:
    """Waits until the device has done all its work; without it only the launch would be timed."""
    if device.type == "cuda":
        import torch

        torch.cuda.synchronize(device)


def peak_rss_bytes() -> int:
    """Returns the largest resident set of this program so far, in bytes."""
    # On Linux, getrusage begins with what the process held that started this one. Sandboxes may leave the line out.
    told = _STATUS.read_bytes().splitlines() if _STATUS.exists() else []
    for line in told:
        if line.startswith(b"VmHWM:"):
            return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, others KiB
