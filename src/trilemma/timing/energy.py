"""Energy of one image, by the GPU's own counter over a window that is long enough for it.

The counter of data-centre GPUs moves in steps, and their power sensor looks a quarter of the time (arXiv 2312.02741):
below ten seconds the difference says little, and where it is 0 it says nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from trilemma.timing.nvml import Nvml

LEAST_SECONDS = 10.0
METHOD = "nvml_total_energy"
WARMUP_CALLS = 2
"""Before the window: at a batch size that was left since, graphs are recorded anew, and memory is taken anew."""


@dataclass(frozen=True, kw_only=True)
class Energy:
    """Joules per image, or None and why. ``seconds`` and ``images`` are those of the window."""

    joules_per_image: float | None
    reason: str | None = None
    batch_size: int
    seconds: float = 0.0
    images: int = 0
    method: str = METHOD


def measure_energy(call: Callable[[], object], size: int, gpu: Nvml | None, unseen: str | None) -> Energy:
    """Repeats a synchronised call of ``size`` images for ten seconds, and returns what the GPU used for one image.

    Whatever ``call`` raises is a reason, not an error: what was timed before stays.

    Args:
        unseen: why there is no ``gpu`` to be asked.
    """
    reason = _obstacle(gpu, unseen)
    if reason is not None or gpu is None:
        return Energy(joules_per_image=None, reason=reason, batch_size=size)
    try:
        return _measured(call, size, gpu)
    except Exception as error:
        return Energy(joules_per_image=None, reason=f"{type(error).__name__}: {error}", batch_size=size)


def _measured(call: Callable[[], object], size: int, gpu: Nvml) -> Energy:
    for _ in range(WARMUP_CALLS):
        call()
    before, start, images = gpu.energy_mj(), time.perf_counter(), 0
    while (seconds := time.perf_counter() - start) < LEAST_SECONDS:
        call()
        images += size
    after = gpu.energy_mj()
    moved = before is not None and after is not None and after > before
    return Energy(
        joules_per_image=((after or 0) - (before or 0)) / 1e3 / images if moved else None,
        reason=None if moved else "the GPU's energy counter did not move",
        batch_size=size,
        seconds=seconds,
        images=images,
    )


def _obstacle(gpu: Nvml | None, unseen: str | None) -> str | None:
    if gpu is None:
        return f"no energy counter: {unseen}"
    if gpu.is_divided():
        return "the GPU is divided into instances (MIG), whose energy is not told apart"
    return None if gpu.energy_mj() is not None else "this GPU has no energy counter"
