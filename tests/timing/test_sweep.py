"""The batch sizes of a protocol within its budget, with planted seconds."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from trilemma.protocol import SpeedSpec
from trilemma.timing import sweep as module
from trilemma.timing.clock import Call

Sizes = list[tuple[int, str]]


@pytest.fixture
def swept(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Sizes]:
    """Sweeps a model whose call of B images takes ``seconds(B)``; returns each size with its status."""

    def run(seconds: Callable[[int], float], budget: float) -> Sizes:
        clock = SimpleNamespace(now=0.0)

        def timed(work: object, device: object, *, scenario: str, size: int, number: int) -> Call:
            clock.now += seconds(size)
            wall = round(seconds(size) * 1e9)
            return Call(
                scenario=scenario, batch_size=size, call=number, n_images=size, wall_ns=wall, device="cpu"
            )  # fmt: skip

        monkeypatch.setattr(module, "timed_call", timed)
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: clock.now))
        spec = SpeedSpec(batch_sizes=(1, 16, 64), min_seconds=0.25, budget_seconds=budget)
        rows = module.sweep(_batch, spec, torch.device("cpu"))
        return list(dict.fromkeys((row.batch_size, row.status) for row in rows if row.scenario == "offline"))

    return run


def _batch(size: int, number: int) -> Any:
    raise AssertionError("the clock is planted: nothing is called")


def test_a_model_that_is_slow_alone_is_timed_at_the_batches_that_make_it_fast(swept: Callable[..., Sizes]) -> None:
    # A tenth of a second for one image, little more for sixteen: by the time of one, sixteen would take 6.4 seconds.
    assert swept(lambda size: 0.1 + 0.01 * size, 6.0) == [(1, "ok"), (16, "ok"), (64, "ok")]


def test_what_does_not_fit_is_skipped_by_its_own_warm_up(swept: Callable[..., Sizes]) -> None:
    assert swept(lambda size: 0.1 * size, 6.0) == [(1, "ok"), (16, "skipped"), (64, "skipped")]


def test_the_smallest_is_always_timed(swept: Callable[..., Sizes]) -> None:
    assert swept(lambda size: 10.0 * size, 6.0) == [(1, "ok"), (16, "skipped"), (64, "skipped")]
