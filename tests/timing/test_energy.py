"""Energy by a counter of our own, and what there is where nobody counts."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from trilemma.timing import nvml
from trilemma.timing.energy import LEAST_SECONDS, WARMUP_CALLS, measure_energy
from trilemma.timing.nvml import Nvml, find_nvml, slowdowns


class NotSupported(Exception):
    """The library's own error class."""


def gpu(energy: Callable[[], int], *, divided: bool = False) -> Nvml:
    def mig_mode(handle: object) -> list[int]:
        return [1 if divided else 0, 0]

    library = SimpleNamespace(
        NVMLError=NotSupported,
        nvmlDeviceGetTotalEnergyConsumption=lambda handle: energy(),
        nvmlDeviceGetMigMode=mig_mode,
        nvmlDeviceGetEnforcedPowerLimit=lambda handle: 700_000,
    )
    return Nvml(library, "handle")


def test_joules_are_those_of_one_image_over_ten_seconds(time: Any) -> None:
    at_300_watts = gpu(lambda: 5_000 + round(300 * 1e3 * time.perf_counter()))
    found = measure_energy(lambda: time.work(0.5), 8, at_300_watts, None)
    assert found.joules_per_image == pytest.approx(300 * 0.5 / 8)
    assert (found.seconds, found.images, found.batch_size) == (LEAST_SECONDS, 160, 8)
    assert found.reason is None


def test_what_is_made_ready_at_this_batch_size_is_not_in_the_window(time: Any) -> None:
    calls = 0

    def call() -> None:
        nonlocal calls
        calls += 1
        time.work(30.0 if calls == 1 else 0.5)  # at first a graph is recorded

    found = measure_energy(call, 8, gpu(lambda: round(300 * 1e3 * time.perf_counter())), None)
    assert found.joules_per_image == pytest.approx(300 * 0.5 / 8)
    assert calls == WARMUP_CALLS + 20 and found.images == 160


def test_an_error_costs_the_energy_alone(time: Any) -> None:
    def call() -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    found = measure_energy(call, 8, gpu(lambda: 5_000), None)
    assert (found.joules_per_image, found.batch_size) == (None, 8)
    assert found.reason == "RuntimeError: CUDA error: an illegal memory access was encountered"


def test_a_counter_that_stands_still_gives_no_zero(time: Any) -> None:
    found = measure_energy(lambda: time.work(1.0), 8, gpu(lambda: 5_000), None)
    assert (found.joules_per_image, found.reason) == (None, "the GPU's energy counter did not move")
    assert found.seconds == LEAST_SECONDS


def refusing() -> int:
    raise NotSupported


@pytest.mark.parametrize(
    ("device", "reason"),
    [
        (None, "no energy counter: the package nvidia-ml-py is not installed"),
        (gpu(lambda: 1, divided=True), "the GPU is divided into instances (MIG), whose energy is not told apart"),
        (gpu(refusing), "this GPU has no energy counter"),
    ],
)
def test_where_nothing_counts_there_is_a_reason_and_no_call(device: Nvml | None, reason: str) -> None:
    def call() -> None:
        raise AssertionError("ten seconds for nothing")

    found = measure_energy(call, 8, device, "the package nvidia-ml-py is not installed")
    assert (found.joules_per_image, found.reason) == (None, reason)


def test_what_a_library_does_not_have_or_does_not_tell_is_none() -> None:
    assert gpu(lambda: 1).reasons() is None and gpu(refusing).energy_mj() is None
    assert gpu(lambda: 1).power_limit_w() == 700.0
    older = SimpleNamespace(NVMLError=NotSupported, nvmlDeviceGetCurrentClocksThrottleReasons=lambda handle: 0x40)
    assert slowdowns(Nvml(older, None).reasons()) == ["hardware thermal slowdown"] and slowdowns(None) == []
    older.nvmlDeviceGetCurrentClocksEventReasons = lambda handle: refusing()  # a new library, an older driver
    assert Nvml(older, None).reasons() == 0x40


def test_a_gpu_is_found_by_its_uuid(monkeypatch: pytest.MonkeyPatch) -> None:
    def handle(uuid: str) -> str:
        if uuid != "GPU-1":
            raise NotSupported("Not Found")
        return f"handle of {uuid}"

    library = SimpleNamespace(NVMLError=NotSupported, nvmlInit=lambda: None, nvmlDeviceGetHandleByUUID=handle)
    monkeypatch.setattr(nvml.importlib, "import_module", lambda name: library)
    found, unseen = find_nvml("GPU-1")
    assert found is not None and found.handle == "handle of GPU-1" and unseen is None
    assert find_nvml("GPU-2") == (None, "NVML does not find the GPU GPU-2: Not Found")
    assert find_nvml(None) == (None, "the device is no NVIDIA GPU")


def test_without_the_package_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(nvml.importlib, "import_module", missing)
    assert find_nvml("GPU-1") == (None, "the package nvidia-ml-py is not installed")
