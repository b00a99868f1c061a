"""What a run's numbers were had with: versions, machine, commit. Everything that can be known without torch."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from trilemma import __version__
from trilemma.identity import digest

PACKAGES = (
    "torch", "torchvision", "numpy", "scipy", "pandas", "pyarrow", "diffusers", "transformers", "timm", "safetensors",
    "pillow", "torch-fidelity",
)  # fmt: skip
# Variables that change speed or numerics. Others may hold secrets and are never read.
VARIABLES = (
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TRIM_THRESHOLD_",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
    "PYTORCH_CUDA_ALLOC_CONF",
    "TORCH_NUM_THREADS",
)


# glibc returns every large tensor to the kernel, which hands the pages out again one fault at a time: on CPUs that
# costs up to two thirds of the time of a convolution. Workers keep what they freed (mallopt(3)).
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "4294967296"}


def environment(plugins: Sequence[Mapping[str, str]] = ()) -> dict[str, Any]:
    """Returns Python, package versions, the environment variables of a worker that matter, and the plug-ins in use."""
    variables = worker_variables()
    described: dict[str, Any] = {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "variables": {name: variables[name] for name in VARIABLES if name in variables},
    }
    return described | ({"plugins": list(plugins)} if plugins else {})


def worker_variables() -> dict[str, str]:
    """Returns the environment variables that a worker starts with: ours, and the allocator's unless they are set."""
    return ALLOCATOR | dict(os.environ)


def node() -> str:
    """Returns a name for this machine that tells it from others and betrays nothing: its own stays here."""
    return digest(["node", platform.node()])[:12]


def executor() -> dict[str, Any]:
    """Returns what runs the workers: processes of this machine, one at a time."""
    return {"kind": "local", "nodes": 1, "workers": 1}


def gpus(described: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the GPU that a worker says it is on, in a list; an empty one where it is on none."""
    if "gpu_uuid" not in described:
        return []
    return [{name: described[name] for name in ("gpu_uuid", "name", "memory_gib")} | {"driver": _driver()}]


def _driver() -> str | None:
    """Returns the version of NVIDIA's kernel driver, None where it does not tell."""
    try:
        first = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8").splitlines()[0]
    except (OSError, IndexError):
        return None
    found = re.search(r"\d+\.\d+(\.\d+)?", first)
    return found.group() if found else None


def host() -> dict[str, Any]:
    """Returns what there is to say of the machine; its name and its user are nobody's business."""
    return {
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cpu": _cpu_name(),
        "cores": usable_cores(),
        "memory_gib": memory_gib(),
    }


def tool() -> dict[str, Any]:
    """Returns this suite's version and, in a checkout, its commit and whether files differ from it."""
    commit = _git("rev-parse", "HEAD")
    return {
        "name": "trilemma",
        "version": __version__,
        "git": commit,
        "dirty": bool(_git("status", "--porcelain", "--untracked-files=no")) if commit else None,
    }


def usable_cores() -> int:
    """Returns the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_gib() -> int | None:
    """Returns the machine's memory, rounded to GiB; None where it cannot be asked for."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    except (AttributeError, ValueError, OSError):
        return None


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _cpu_name() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _git(*arguments: str) -> str | None:
    """Returns git's answer about the checkout that this code lies in, None outside one."""
    checkout = Path(__file__).resolve().parents[3]
    if not (checkout / ".git").exists():
        return None
    try:
        answer = subprocess.run(
            ["git", *arguments], cwd=checkout, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
