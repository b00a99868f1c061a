"""A measured window with planted events: what makes it void, what does not fit, and what its stages add up to."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from trilemma.stages import DECODE, SAMPLE, TEXT, stage
from trilemma.timing import cuda as device_columns
from trilemma.timing import window as windows
from trilemma.timing.nvml import Nvml
from trilemma.timing.warmup import WarmupRule
from trilemma.timing.watch import Watch
from trilemma.timing.window import Timer, Window, WindowRule

CPU = torch.device("cpu")
RULE = WindowRule(least_calls=5, least_seconds=0.0, most_seconds=100.0, warmup=WarmupRule(least_seconds=0.0))


def timer(batch: Callable[[int, int], object], watch: Watch | None = None) -> Timer:
    return Timer(batch, CPU, watch or Watch(compiled=lambda: 0))


def test_every_call_is_another_and_is_warmed_up_at_its_own_size(time: Any) -> None:
    seen: list[tuple[int, int]] = []

    def batch(size: int, number: int) -> None:
        seen.append((size, number))
        time.work(0.1 * size)

    timed = timer(batch)
    one, four = timed.window("single_stream", 1, RULE), timed.window("offline", 4, RULE)
    assert len(set(number for _, number in seen)) == len(seen) == 2 * (3 + 5)
    assert (one.warmup_calls, one.converged, one.status) == (3, True, "ok")
    assert four.warmup_seconds == pytest.approx(1.2) and four.images_per_second == pytest.approx(10.0)
    assert {row.batch_size for row in four.rows} == {4}
    assert [row.scenario for row in four.rows] == ["warmup"] * 3 + ["offline"] * 5


def test_the_clock_stops_by_calls_and_seconds_or_by_the_most_seconds() -> None:
    rule = WindowRule(least_calls=5, least_seconds=2.0, most_seconds=10.0)
    assert not rule.is_enough(5, 1.0) and not rule.is_enough(4, 9.0)
    assert rule.is_enough(5, 2.0) and rule.is_enough(3, 10.0) and not rule.is_enough(2, 50.0)


def test_the_most_seconds_are_those_of_warm_up_and_window_together(time: Any) -> None:
    rule = WindowRule(least_calls=15, least_seconds=0.0, most_seconds=8.0, warmup=WarmupRule(least_seconds=0.0))
    found = timer(lambda size, number: time.work(1.0)).window("offline", 4, rule)
    assert (found.warmup_calls, found.seconds, found.status) == (3, 8.0, "ok")
    restless = timer(lambda size, number: time.work(1.0 + number % 2)).window("offline", 4, rule)
    assert restless.converged is False and restless.warmup_seconds == pytest.approx(8.0, abs=1.0)
    assert len([row for row in restless.rows if row.scenario == "offline"]) == 3  # the fewest, in any case


def test_a_second_attempt_has_what_the_first_has_left(time: Any) -> None:
    rule = WindowRule(least_calls=15, least_seconds=0.0, most_seconds=8.0, warmup=WarmupRule(least_seconds=0.0))
    watch = Watch(gpu(lambda: 0x08), compiled=lambda: 0)
    found = timer(lambda size, number: time.work(1.0), watch).window("offline", 4, rule)
    assert found.status == "void" and found.seconds == 8.0 + 2 + 3


class Compiler:
    """Compiles one more graph whenever it is told that a shape is new."""

    def __init__(self) -> None:
        self.graphs = 0

    def __call__(self) -> int:
        return self.graphs


def test_a_recompilation_inside_the_window_voids_it_and_it_is_timed_again(time: Any) -> None:
    compiler, calls = Compiler(), 0

    def batch(size: int, number: int) -> None:
        nonlocal calls
        calls += 1
        time.work(1.0)
        compiler.graphs += calls == 1 or calls == 6  # in the warm-up, where it belongs, and inside the window

    found = timer(batch, Watch(compiled=compiler)).window("offline", 4, RULE)
    void = [row for row in found.rows if row.status == "void"]
    assert found.status == "ok" and len(void) == 5
    assert {row.reason for row in void} == {"torch.compile ran inside the window: 1 more graph"}
    assert sum(row.scenario == "offline" and row.status == "ok" for row in found.rows) == 5
    assert not [row for row in found.rows if row.scenario == "warmup" and row.status != "ok"]


def test_a_call_that_compiled_is_told_and_is_no_part_of_what_a_window_takes(time: Any) -> None:
    compiler, calls = Compiler(), 0

    def batch(size: int, number: int) -> None:
        nonlocal calls
        calls += 1
        compiler.graphs += calls == 1
        time.work(300.0 if calls == 1 else 1.0)

    rule = WindowRule(least_calls=5, least_seconds=0.0, most_seconds=60.0, warmup=WarmupRule(least_seconds=0.0))
    found = timer(batch, Watch(compiled=compiler)).window("offline", 4, rule)
    assert [row.compiled for row in found.rows] == [True] + [False] * 8
    assert (found.status, found.converged, found.warmup_calls) == ("ok", True, 4)
    assert (found.seconds, found.seconds_per_image, found.warmup_seconds) == (8.0, 0.25, 303.0)


def test_a_window_that_is_void_twice_gives_no_rate(time: Any) -> None:
    compiler = Compiler()

    def batch(size: int, number: int) -> None:
        time.work(1.0)
        compiler.graphs += 1

    found = timer(batch, Watch(compiled=compiler)).window("offline", 4, RULE)
    assert (found.status, found.images_per_second) == ("void", 0.0)
    assert found.reason == "torch.compile ran inside the window: 5 more graphs"


def gpu(reasons: Callable[[], int]) -> Nvml:
    library = SimpleNamespace(NVMLError=RuntimeError, nvmlDeviceGetCurrentClocksEventReasons=lambda handle: reasons())
    return Nvml(library, None)


@pytest.mark.parametrize(
    ("bits", "status", "reason"),
    [
        (0x01, "ok", None),
        (0x04, "ok", None),
        (0x08, "void", "hardware slowdown"),
        (0x20, "void", "software thermal slowdown"),
        (0x64, "void", "software thermal slowdown, hardware thermal slowdown"),
        (0x80, "void", "power brake"),
    ],
)
def test_a_gpu_that_is_slowed_down_voids_the_window(time: Any, bits: int, status: str, reason: str | None) -> None:
    slowed = lambda: bits if 4.5 < time.perf_counter() % 20 < 5.5 else 0  # noqa: E731 - in one call of the window alone
    watch = Watch(gpu(slowed), compiled=lambda: 0)
    found = timer(lambda size, number: time.work(1.0), watch).window("single_stream", 1, RULE)
    first = [row for row in found.rows if row.scenario == "single_stream"][:5]
    assert {row.status for row in first} == {status}
    assert first[0].reason == (reason and f"the GPU was slowed down inside the window: {reason}")


def test_being_at_the_power_limit_is_told_and_voids_nothing(time: Any) -> None:
    watch = Watch(gpu(lambda: 0x04), compiled=lambda: 0)
    found = timer(lambda size, number: time.work(1.0), watch).window("single_stream", 1, RULE)
    assert (found.status, found.power_capped) == ("ok", True)


def test_where_nobody_tells_of_the_gpu_nothing_is_said_of_it(time: Any) -> None:
    def refusing() -> int:
        raise RuntimeError("Not Supported")

    for told in (None, gpu(refusing)):
        found = timer(lambda size, number: time.work(1.0), Watch(told, compiled=lambda: 0)).window("offline", 1, RULE)
        assert (found.status, found.power_capped) == ("ok", None)
    watched = Watch(gpu(lambda: 0x01), compiled=lambda: 0)
    assert timer(lambda size, number: time.work(1.0), watched).window("offline", 1, RULE).power_capped is False


def test_the_gpu_is_not_asked_after_every_short_call(time: Any) -> None:
    asked = 0

    def reasons() -> int:
        nonlocal asked
        asked += 1
        return 0

    rule = WindowRule(least_calls=1_000, least_seconds=0.0, most_seconds=100.0, warmup=WarmupRule(least_seconds=0.0))
    timer(lambda size, number: time.work(0.001), Watch(gpu(reasons), compiled=lambda: 0)).window("offline", 1, rule)
    assert 10 <= asked <= 14


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore"),
        MemoryError("no memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_a_batch_that_does_not_fit_is_a_row(time: Any, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    released: list[torch.device] = []
    monkeypatch.setattr(windows, "release", released.append)

    def batch(size: int, number: int) -> None:
        with stage(SAMPLE):
            raise error

    timed = timer(batch)
    found = timed.window("offline", 64, RULE)
    (row,) = found.rows
    assert (row.status, row.batch_size, row.n_images, row.wall_ns) == ("out_of_memory", 64, 0, None)
    assert row.reason == str(error).splitlines()[0] and found.images_per_second == 0.0
    assert released == [CPU]


def test_any_other_error_is_the_models_own(time: Any) -> None:
    def batch(size: int, number: int) -> None:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        timer(batch).window("offline", 4, RULE)


def stages_of(found: Window) -> dict[str, list[int]]:
    rows = [row for row in found.rows if row.scenario == "offline" and row.stage != "e2e"]
    return {name: [row.wall_ns or 0 for row in rows if row.stage == name] for name in {row.stage for row in rows}}


def test_stages_stand_beside_the_whole_call_and_never_exceed_it(time: Any) -> None:
    def batch(size: int, number: int) -> None:
        with stage(TEXT):
            time.work(0.1)
        for _ in range(4):
            with stage(SAMPLE):
                time.work(0.2)
            time.work(0.01)
        with stage(DECODE):
            time.work(0.3)

    found = timer(batch).window("offline", 2, RULE)
    stages = stages_of(found)
    assert stages == {TEXT: [10**8] * 5, SAMPLE: [8 * 10**8] * 5, DECODE: [3 * 10**8] * 5}
    whole = [row for row in found.rows if row.scenario == "offline" and row.stage == "e2e"]
    assert [row.wall_ns for row in whole] == [1_240_000_000] * 5
    parts = [sum(spent) for spent in zip(*stages.values(), strict=True)]
    assert all(part <= (row.wall_ns or 0) for part, row in zip(parts, whole, strict=True))


def test_what_a_call_that_failed_has_marked_is_forgotten(time: Any) -> None:
    fails = True

    def batch(size: int, number: int) -> None:
        with stage(TEXT):
            time.work(1.0)
        if fails:
            raise MemoryError("no memory")

    timed = timer(batch)
    timed.window("offline", 2, RULE)
    fails = False
    assert stages_of(timed.window("offline", 1, RULE)) == {TEXT: [10**9] * 5}


class Event:
    """Of a device that is half as fast as it looks: its own clock counts milliseconds of a queue."""

    made = 0
    clock: Any

    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing
        Event.made += 1
        self.at = 0

    def record(self) -> None:
        self.at = Event.clock.nanoseconds

    def elapsed_time(self, end: Event) -> float:
        return (end.at - self.at) / 1e6


def test_on_a_gpu_stages_are_timed_by_events_that_are_used_again(time: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fakes: dict[str, Any] = {"Event": Event, "synchronize": lambda device: None, "reset_peak_memory_stats": print}
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    monkeypatch.setattr(device_columns, "_memory", lambda device: {"allocated_bytes": 7, "reserved_bytes": 9})
    monkeypatch.setattr(device_columns, "_condition", lambda device: {"sm_mhz": 1980})
    Event.clock, Event.made = time, 0

    def batch(size: int, number: int) -> None:
        with stage(SAMPLE):
            time.work(0.25)

    device = cast(torch.device, SimpleNamespace(type="cuda"))
    found = Timer(batch, device, Watch(compiled=lambda: 0)).window("offline", 2, RULE)
    rows = [row for row in found.rows if row.stage == SAMPLE]
    assert {(row.device_ns, row.wall_ns) for row in rows} == {(250_000_000, None)} and len(rows) == 5
    assert Event.made == 2 * 8 + 2  # two for each whole call; those of the stage are kept
    whole = [row for row in found.rows if row.stage == "e2e"]
    assert {row.allocated_bytes for row in whole} == {7} and all(row.sm_mhz == 1980 for row in whole)


class Allocator:
    """Of a model that records a graph at every new batch size: what the graph computes in shows only then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.held, self.peak, self.recorded = 10, 1_000, set[int]()  # the peak is that of loading
        fakes: dict[str, Any] = {"synchronize": lambda device: None, "reset_peak_memory_stats": self.reset}
        for name, fake in fakes.items():
            monkeypatch.setattr(torch.cuda, name, fake)
        monkeypatch.setattr(device_columns, "_memory", lambda device: {"allocated_bytes": self.peak})
        monkeypatch.setattr(device_columns, "_condition", lambda device: {})

    def reset(self, device: object) -> None:
        self.peak = self.held

    def run(self, size: int) -> None:
        self.peak = max(self.peak, self.held + size * (1 if size in self.recorded else 10))
        self.recorded.add(size)


def test_allocated_memory_holds_what_a_recorded_graph_computes_in(time: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "Event", Event)
    Event.clock, allocator = time, Allocator(monkeypatch)

    def batch(size: int, number: int) -> None:
        allocator.run(size)
        time.work(1.0)

    device = cast(torch.device, SimpleNamespace(type="cuda"))
    timed = Timer(batch, device, Watch(gpu(lambda: 0x08), compiled=lambda: 0))  # every window is void, and timed again
    first = timed.call("first_call", 1, 0)
    windows = [
        timed.window("single_stream", 1, RULE),
        timed.window("offline", 4, RULE),
        timed.window("offline", 8, RULE),
    ]
    for size, rows in ((1, [*first, *windows[0].rows]), (4, windows[1].rows), (8, windows[2].rows)):
        assert {row.allocated_bytes for row in rows} == {10 + 10 * size}
