"""Speed of anything that makes a batch of images: a sweep of batch sizes within a budget of seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from trilemma.protocol import SpeedSpec
from trilemma.timing.clock import WARMUP, Call, timed_call
from trilemma.timing.cuda import reset_allocated

if TYPE_CHECKING:
    import torch

Batch = Callable[[int, int], object]  # (batch size, number of the call) -> the images, on the host


def sweep(batch: Batch, spec: SpeedSpec, device: torch.device, scenario: str = "offline") -> list[Call]:
    """Times every batch size of ``spec``, smallest first, each warmed up at its own shape.

    The smallest is always timed. Another becomes one row with status "skipped" where one call of it, by the time per
    image of the size before it, or its fewest calls, by the last call of its own warm-up, would not fit into what is
    left of ``budget_seconds``. The time per image of a smaller size is no measure for the fewest calls: it is what
    larger batches bring down.
    """
    rows: list[Call] = []
    deadline = time.perf_counter() + spec.budget_seconds
    per_image = 0.0
    for size in spec.batch_sizes:
        if (needed := per_image * size) > deadline - time.perf_counter():
            rows.append(_skipped(scenario, size, needed, device))
            continue
        warm = _warm_up(batch, size, spec, device)
        rows.extend(warm)
        needed = (warm[-1].wall_ns or 0) / 1e9 * spec.min_calls
        if per_image > 0 and needed > deadline - time.perf_counter():
            rows.append(_skipped(scenario, size, needed, device))
            continue
        timed = _timed(batch, size, spec, device, scenario)
        per_image = seconds_per_image(timed)
        rows.extend(timed)
    return rows


def steady(batch: Batch, size: int, spec: SpeedSpec, device: torch.device, scenario: str) -> list[Call]:
    """Warms up at one batch size, then times calls until both the fewest calls and seconds are reached.

    The peak of allocated memory is that of the warm-up too: what a CUDA graph computes in shows only while it is
    recorded.
    """
    return [*_warm_up(batch, size, spec, device), *_timed(batch, size, spec, device, scenario)]


def _warm_up(batch: Batch, size: int, spec: SpeedSpec, device: torch.device) -> list[Call]:
    reset_allocated(device)
    return [
        timed_call(lambda n=number: batch(size, n), device, scenario=WARMUP, size=size, number=number)  # type: ignore[misc]
        for number in range(spec.warmup_calls)
    ]


def _timed(batch: Batch, size: int, spec: SpeedSpec, device: torch.device, scenario: str) -> list[Call]:
    rows: list[Call] = []
    spent = 0
    for number in range(MOST_CALLS):
        if number >= spec.min_calls and spent >= spec.min_seconds * 1e9:
            break
        offset = spec.warmup_calls + number
        row = timed_call(lambda n=offset: batch(size, n), device, scenario=scenario, size=size, number=number)  # type: ignore[misc]
        spent += row.wall_ns or 0
        rows.append(row)
    return rows


MOST_CALLS = 10_000  # a call that takes no measurable time must not loop for ever


def seconds_per_image(rows: list[Call]) -> float:
    """Returns all seconds over all images of the rows."""
    return sum(row.wall_ns or 0 for row in rows) / 1e9 / max(1, sum(row.n_images for row in rows))


def _skipped(scenario: str, size: int, needed: float, device: torch.device) -> Call:
    reason = f"would take about {needed:.0f} s, more than is left of the budget"
    return Call(
        scenario=scenario, batch_size=size, call=0, n_images=0, device=device.type, status="skipped", reason=reason
    )
