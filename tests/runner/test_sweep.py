"""Timing with a clock of our own: no test here depends on how fast the machine is."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from trilemma.protocol import SpeedSpec
from trilemma.timing import clock, reference_decoder, sweep

CPU = torch.device("cpu")


@dataclass
class Clock:
    """Time that passes only when something works."""

    nanoseconds: int = 0

    def work(self, seconds: float) -> None:
        self.nanoseconds += round(seconds * 1e9)

    def perf_counter_ns(self) -> int:
        return self.nanoseconds

    def perf_counter(self) -> float:
        return self.nanoseconds / 1e9


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(clock, "time", made)
    monkeypatch.setattr(sweep, "time", made)
    return made


def test_every_size_is_warmed_up_and_timed_long_enough(time: Clock) -> None:
    spec = SpeedSpec(batch_sizes=(1, 4), warmup_calls=2, min_seconds=1.0, min_calls=3, budget_seconds=100)
    calls: list[tuple[int, int]] = []

    def batch(size: int, number: int) -> None:
        calls.append((size, number))
        time.work(0.1 * size)

    rows = sweep.sweep(batch, spec, CPU)
    counts = {
        (size, kind): sum(1 for r in rows if r.batch_size == size and r.scenario == kind)
        for size in (1, 4)
        for kind in ("warmup", "offline")
    }
    assert counts == {(1, "warmup"): 2, (1, "offline"): 10, (4, "warmup"): 2, (4, "offline"): 3}
    assert len(set(calls)) == len(calls)
    timed = [r for r in rows if r.scenario == "offline" and r.batch_size == 4]
    assert sweep.seconds_per_image(timed) == pytest.approx(0.1)
    assert all(r.peak_rss_bytes and r.allocated_bytes is None for r in rows)


def test_what_does_not_fit_into_the_budget_is_a_skipped_row(time: Clock) -> None:
    spec = SpeedSpec(batch_sizes=(1, 16, 64), min_seconds=0.1, min_calls=3, budget_seconds=10)
    rows = sweep.sweep(lambda size, _: time.work(0.1 * size), spec, CPU)
    assert {r.batch_size for r in rows if r.status == "ok"} == {1, 16}
    (skipped,) = [r for r in rows if r.status == "skipped"]
    assert (skipped.batch_size, skipped.wall_ns, skipped.n_images) == (64, None, 0)
    assert skipped.reason is not None and "budget" in skipped.reason


def test_the_smallest_is_timed_whatever_it_takes(time: Clock) -> None:
    spec = SpeedSpec(batch_sizes=(1, 2), min_calls=3, budget_seconds=0.001)
    rows = sweep.sweep(lambda size, _: time.work(5.0), spec, CPU)
    assert [r.status for r in rows] == ["ok"] * 4 + ["skipped"]


def test_the_reference_decoder_is_the_same_for_everybody() -> None:
    for resolution in (32, 64):
        one, two = (reference_decoder.ReferenceDecoder(resolution, CPU) for _ in range(2))
        latents = one.latents(3)
        assert torch.equal(latents, two.latents(3))
        image = one.decode(latents)
        assert image.dtype == torch.uint8 and image.shape == (3, 3, resolution, resolution)
        assert torch.equal(image, two.decode(latents))
        assert image.float().std() > 10  # not a constant: nothing was optimised away


def test_the_reference_decoder_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    reference_decoder.ReferenceDecoder(32, CPU).latents(1)
    assert torch.equal(before, torch.get_rng_state())
