"""What only a CUDA device can tell of a call: its own clock, torch's memory on it, and what NVML says of its state."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


class DeviceStopwatch:
    """Measures on a device's own clock, by two events in its queue; elsewhere it does nothing."""

    def __init__(self, device: torch.device) -> None:
        self._events: list[torch.cuda.Event] = []
        if device.type == "cuda":
            import torch

            self._events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]

    def start(self) -> None:
        """Marks the beginning."""
        if self._events:
            self._events[0].record()

    def stop(self) -> None:
        """Marks the end."""
        if self._events:
            self._events[1].record()

    def elapsed_ns(self) -> int | None:
        """Returns the time between the marks once the device has passed them; None without a CUDA device."""
        return round(self._events[0].elapsed_time(self._events[1]) * 1e6) if self._events else None


def device_state(device: torch.device) -> dict[str, Any]:
    """Returns the columns of a timing that a CUDA device fills; none elsewhere."""
    return {**_memory(device), **_condition(device)} if device.type == "cuda" else {}


class SparingState:
    """As :func:`device_state`, but asks NVML at most every tenth of a second: the device idles while it answers."""

    def __init__(self, least_seconds: float = 0.1) -> None:
        self.least_seconds = least_seconds
        self.asked_at = -least_seconds

    def __call__(self, device: torch.device) -> dict[str, Any]:
        """Returns the columns; those of NVML only where it was asked."""
        if device.type != "cuda":
            return {}
        if time.perf_counter() - self.asked_at < self.least_seconds:
            return _memory(device)
        found = device_state(device)
        self.asked_at = time.perf_counter()
        return found


def _memory(device: torch.device) -> dict[str, Any]:
    from torch import cuda

    return {"allocated_bytes": cuda.max_memory_allocated(device), "reserved_bytes": cuda.max_memory_reserved(device)}


def _condition(device: torch.device) -> dict[str, Any]:
    from torch import cuda

    milliwatts = _asked(cuda.power_draw, device)
    return {
        "sm_mhz": _asked(cuda.clock_rate, device),
        "temp_c": _asked(cuda.temperature, device),
        "power_w": None if milliwatts is None else milliwatts / 1e3,
    }


def reset_allocated(device: torch.device) -> None:
    """Starts the peaks of torch's memory anew."""
    if device.type == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats(device)


def _asked(question: Callable[[torch.device], int], device: torch.device) -> int | None:
    """NVML's answer through torch; None where its Python package is not installed, or the device does not tell."""
    try:
        return question(device)
    except Exception:  # ModuleNotFoundError, RuntimeError, or an error class of a package that we do not require
        return None
