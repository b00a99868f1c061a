"""What the columns of a CUDA device hold, with a torch that pretends to have one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from trilemma.runner.devices import describe_device
from trilemma.runner.environment import gpus
from trilemma.timing.clock import timed_call
from trilemma.timing.cuda import DeviceStopwatch, device_state

CPU = torch.device("cpu")
CUDA = cast(torch.device, SimpleNamespace(type="cuda"))


class Event:
    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing
        self.recorded = False

    def record(self) -> None:
        self.recorded = True

    def elapsed_time(self, end: Event) -> float:
        assert self.recorded and end.recorded
        return 1.5  # milliseconds


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: dict[str, Any] = {
        "Event": Event,
        "synchronize": lambda device: None,
        "max_memory_allocated": lambda device: 100,
        "max_memory_reserved": lambda device: 200,
        "clock_rate": lambda device: 1980,
        "temperature": lambda device: 41,
        "power_draw": lambda device: 350_500,
    }
    for name, answer in answers.items():
        monkeypatch.setattr(torch.cuda, name, answer)


def test_a_call_on_a_gpu_fills_its_columns(cuda: None) -> None:
    call = timed_call(lambda: None, CUDA, scenario="offline", size=4, number=0)
    assert (call.device_ns, call.allocated_bytes, call.reserved_bytes) == (1_500_000, 100, 200)
    assert (call.sm_mhz, call.temp_c, call.power_w, call.warmup) == (1980, 41, 350.5, False)


def test_without_nvml_its_columns_are_null(cuda: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(device: object) -> int:
        raise ModuleNotFoundError("nvidia-ml-py does not seem to be installed")

    for name in ("clock_rate", "temperature", "power_draw"):
        monkeypatch.setattr(torch.cuda, name, fail)
    state = device_state(CUDA)
    assert (state["sm_mhz"], state["temp_c"], state["power_w"]) == (None, None, None)
    assert state["allocated_bytes"] == 100


def test_on_a_cpu_there_is_nothing_to_tell() -> None:
    stopwatch = DeviceStopwatch(CPU)
    stopwatch.start()
    stopwatch.stop()
    assert stopwatch.elapsed_ns() is None and device_state(CPU) == {}
    assert gpus(describe_device(CPU)) == []


def test_the_gpu_of_a_worker_is_one_of_the_hosts() -> None:
    described = {"gpu_uuid": "GPU-1", "name": "H", "memory_gib": 80, "device": "cuda"}
    (gpu,) = gpus(described)
    assert gpu.keys() == {"gpu_uuid", "name", "memory_gib", "driver"} and gpu["gpu_uuid"] == "GPU-1"


def test_flags_can_be_read_however_they_were_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    before = torch.backends.cuda.matmul.fp32_precision
    torch.backends.cuda.matmul.fp32_precision = "tf32"
    try:
        flags = describe_device(CPU)["flags"]
    finally:
        torch.backends.cuda.matmul.fp32_precision = before
    assert flags["cuda_matmul_float32"] == "tf32" and flags["cudnn_benchmark"] is True
