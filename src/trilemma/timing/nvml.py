"""What NVIDIA's management library tells of one GPU. Nothing is ever set, and what it does not tell is None.

Its Python package, nvidia-ml-py, is optional: without it the questions have no answers, and timing goes on.
Source: NVML API Reference Guide, NvmlClocksEventReasons and nvmlDeviceGetTotalEnergyConsumption,
https://docs.nvidia.com/deploy/nvml-api/.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

# A GPU at its power limit (0x4) is not among them: that limit is part of the machine, and is recorded.
SLOWDOWNS = {
    0x08: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
}
POWER_CAP = 0x04


class Nvml:
    """One GPU. ``library`` is the module pynvml, or what speaks like it."""

    def __init__(self, library: Any, handle: Any) -> None:
        self.library, self.handle = library, handle

    def reasons(self) -> int | None:
        """Returns the bits of why the clocks are not higher, at this moment."""
        found: int | None = self._asked(
            "nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"
        )
        return found

    def energy_mj(self) -> int | None:
        """Returns the energy since the driver was loaded, in millijoules."""
        found: int | None = self._asked("nvmlDeviceGetTotalEnergyConsumption")
        return found

    def power_limit_w(self) -> float | None:
        """Returns the limit that is in force, in watts."""
        milliwatts = self._asked("nvmlDeviceGetEnforcedPowerLimit")
        return None if milliwatts is None else milliwatts / 1e3

    def is_divided(self) -> bool:
        """Whether the GPU is split into instances (MIG): power and energy are then not those of one of them."""
        found = self._asked("nvmlDeviceGetMigMode")
        return bool(found[0]) if found is not None else False

    def _asked(self, *names: str) -> Any:
        """The first answer that there is: newer libraries and drivers have renamed some functions."""
        for name in names:
            question: Callable[[Any], Any] | None = getattr(self.library, name, None)
            if question is not None:
                with suppress(self.library.NVMLError):
                    return question(self.handle)
        return None


def find_nvml(uuid: str | None) -> tuple[Nvml | None, str | None]:
    """Returns the GPU of this UUID, or None and why nobody tells anything of it.

    By UUID, because NVML numbers GPUs without regard to CUDA_VISIBLE_DEVICES.
    """
    if uuid is None:
        return None, "the device is no NVIDIA GPU"
    try:
        library = importlib.import_module("pynvml")
    except ModuleNotFoundError:
        return None, "the package nvidia-ml-py is not installed"
    try:
        library.nvmlInit()
        return Nvml(library, library.nvmlDeviceGetHandleByUUID(uuid)), None
    except library.NVMLError as error:
        return None, f"NVML does not find the GPU {uuid}: {error}"


def slowdowns(reasons: int | None) -> list[str]:
    """Returns the names of those reasons that mean that the GPU was slowed down."""
    return [name for bit, name in SLOWDOWNS.items() if (reasons or 0) & bit]
