"""The sweep over batch sizes, with planted rates and limits: where it ends, and what it tells of the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from trilemma.timing.batch_sweep import AUTO_SIZES, BatchSweep
from trilemma.timing.clock import Call
from trilemma.timing.window import Window, without_times

CPU = torch.device("cpu")


class Machine:
    """Times a batch by a formula; above ``fits`` images it has no memory, and at ``breaks`` it fails otherwise.

    Its first call compiles for ``compiling`` seconds; with ``void`` no time of it counts.
    """

    def __init__(
        self,
        seconds: Callable[[int], float],
        *,
        fits: int = 10**9,
        breaks: int = 0,
        compiling: float = 0.0,
        void: bool = False,
    ) -> None:
        self.seconds, self.fits, self.breaks, self.compiling, self.void = seconds, fits, breaks, compiling, void
        self.tried: list[int] = []
        self.given: list[float] = []

    def __call__(self, size: int, seconds: float) -> Window:
        self.tried.append(size)
        self.given.append(seconds)
        if size == self.breaks:
            raise ValueError("this size is odd")
        if size > self.fits:
            return without_times("offline", size, "out_of_memory", "CUDA out of memory", CPU)
        timed = Call(scenario="offline", batch_size=size, call=0, n_images=size, device="cpu")
        timed = replace(timed, wall_ns=round(self.seconds(size) * 1e9), status="void" if self.void else "ok")
        first = replace(timed, scenario="warmup", status="ok", compiled=True, wall_ns=round(self.compiling * 1e9))
        return Window(scenario="offline", batch_size=size, status="void" if self.void else "ok", rows=(first, timed))


def swept(
    machine: Machine, sizes: tuple[int, ...] = AUTO_SIZES, *, auto: bool = True, budget: float = 1e9
) -> list[tuple[int, str, str | None]]:
    windows = BatchSweep(machine, CPU, auto=auto, budget_seconds=budget).run(sizes)
    return [(window.batch_size, window.status, window.reason) for window in windows]


def test_it_ends_at_the_largest_that_fits() -> None:
    machine = Machine(lambda size: 1.0, fits=20)
    assert swept(machine)[-2:] == [(16, "ok", None), (32, "out_of_memory", "CUDA out of memory")]
    assert machine.tried == [1, 2, 4, 8, 16, 32]


def test_it_ends_where_two_sizes_in_turn_gain_nothing() -> None:
    saturated = Machine(lambda size: max(size, 8) / 8)  # no faster beyond a batch of 8
    found = swept(saturated)
    assert saturated.tried == [1, 2, 4, 8, 16, 32]
    assert found[-1] == (64, "skipped", "no gain over the last 2 batch sizes")


def test_one_size_that_the_kernels_dislike_does_not_end_it() -> None:
    machine = Machine(lambda size: size**0.5 * (2.0 if size == 8 else 1.0), fits=64)
    swept(machine)
    assert machine.tried == [1, 2, 4, 8, 16, 32, 64, 128]


def test_noise_is_no_gain() -> None:
    machine = Machine(lambda size: size / (1.0 + 0.01 * (size % 3)))
    swept(machine)
    assert machine.tried == [1, 2, 4]


def test_a_first_size_that_does_not_fit_is_halved_until_one_does() -> None:
    machine = Machine(lambda size: 1.0, fits=24)
    found = swept(machine, (128, 256), auto=False)
    assert machine.tried == [128, 64, 32, 16]
    assert [status for _, status, _ in found] == ["out_of_memory", "skipped", "out_of_memory", "out_of_memory", "ok"]
    assert found[1] == (256, "skipped", "a batch of 128 could not be timed")


def test_where_not_even_one_image_fits_every_try_is_told() -> None:
    machine = Machine(lambda size: 1.0, fits=0)
    assert swept(machine, (4,), auto=False) == [(n, "out_of_memory", "CUDA out of memory") for n in (4, 2, 1)]


def test_sizes_that_were_asked_for_are_tried_whether_they_gain_or_not() -> None:
    machine = Machine(lambda size: float(size))
    assert [status for _, status, _ in swept(machine, (64, 1, 2, 4, 8), auto=False)] == ["ok"] * 5
    assert machine.tried == [1, 2, 4, 8, 64]


def test_larger_sizes_than_one_that_did_not_fit_are_not_tried() -> None:
    machine = Machine(lambda size: 1.0, fits=4)
    found = swept(machine, (1, 4, 8, 16), auto=False)
    assert machine.tried == [1, 4, 8] and found[-1] == (16, "skipped", "a batch of 8 could not be timed")


def test_what_the_budget_does_not_hold_is_skipped_and_the_smallest_never() -> None:
    machine = Machine(lambda size: 10.0 * size**0.9)
    found = swept(machine, (1, 2, 4), auto=False, budget=5.0)
    assert machine.tried == [1]
    assert [status for _, status, _ in found] == ["ok", "skipped", "skipped"]
    assert found[1][2] == "would take about 120 s, more than is left of the budget"


def test_compilation_is_not_charged_to_the_budget() -> None:
    machine = Machine(lambda size: 0.1 * size, compiling=50.0)
    assert [status for _, status, _ in swept(machine, (1, 2, 4), auto=False, budget=5.0)] == ["ok"] * 3
    assert machine.given == [pytest.approx(left) for left in (5.0, 4.9, 4.7)]


def test_times_that_do_not_count_cost_as_much_of_the_budget() -> None:
    machine = Machine(lambda size: 1.0 * size, void=True)
    found = swept(machine, (1, 2, 4), auto=False, budget=15.0)
    assert [status for _, status, _ in found] == ["void", "void", "skipped"]
    assert found[2][2] == "would take about 24 s, more than is left of the budget"


def test_what_the_host_has_no_room_for_is_not_tried() -> None:
    machine = Machine(lambda size: 1.0)
    sweep = BatchSweep(
        machine, CPU, auto=True, budget_seconds=1e9, too_large=lambda size, more: "too large" if more > 8 else None
    )
    assert [(w.batch_size, w.status) for w in sweep.run(AUTO_SIZES)][-2:] == [(8, "ok"), (16, "skipped")]


def test_another_error_at_a_larger_size_ends_the_sweep_and_before_any_time_it_is_the_models() -> None:
    machine = Machine(lambda size: 1.0, breaks=4)
    assert swept(machine)[-1] == (4, "failed", "ValueError: this size is odd")
    with pytest.raises(ValueError, match="odd"):
        swept(Machine(lambda size: 1.0, breaks=1))
