"""From timed calls to numbers."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from trilemma.runner.speed import best_batch, latency, speed_numbers


def call(scenario: str, size: int, seconds: float | None, **others: Any) -> dict[str, Any]:
    row = {"scenario": scenario, "batch_size": size, "n_images": size, "status": "ok" if seconds else "skipped"}
    row |= {"wall_ns": seconds * 1e9 if seconds else None, "peak_rss_bytes": 100 * size, "allocated_bytes": None}
    return row | others


TIMINGS = pd.DataFrame(
    [
        call("load", 0, 3.0),
        call("first_call", 1, 2.0),
        call("warmup", 1, 9.0),
        *[call("single_stream", 1, seconds) for seconds in (0.5, 0.7, 9.0)],
        *[call("offline", 1, 0.5) for _ in range(2)],
        *[call("offline", 4, seconds) for seconds in (0.7, 0.9)],
        *[call("offline", 8, 2.4) for _ in range(2)],
        call("offline", 64, None),
    ]
)


def test_the_best_batch_gives_throughput_and_memory() -> None:
    best = best_batch(TIMINGS, "offline")
    assert best is not None and best.batch_size == 4
    numbers = speed_numbers(TIMINGS)
    rate = numbers["images_per_second"]
    assert rate.estimate.value == pytest.approx(5.0) and rate.params["batch_size"] == 4
    assert rate.estimate.se == pytest.approx(0.025 / 0.2**2)  # delta method: se(t)/t^2
    assert numbers["peak_memory"].estimate.value == 400 and numbers["peak_memory"].params["kind"] == "resident"


def test_cold_costs_stand_apart_and_latency_is_a_median() -> None:
    numbers = speed_numbers(TIMINGS)
    assert numbers["load_seconds"].estimate.value == 3.0
    assert numbers["first_call_seconds"].estimate.value == 2.0
    assert latency(TIMINGS).value == 0.7


def test_on_cuda_memory_is_what_torch_allocated() -> None:
    rows = TIMINGS.assign(allocated_bytes=77)
    assert speed_numbers(rows)["peak_memory"].estimate.value == 77


def test_without_calls_there_is_no_number() -> None:
    numbers = speed_numbers(TIMINGS[TIMINGS["scenario"] == "warmup"])
    assert {name for name, m in numbers.items() if m.estimate.value is not None} == set()
    assert all(m.estimate.reason for m in numbers.values())
