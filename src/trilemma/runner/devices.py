"""The device that a worker uses, and what there is to say of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trilemma.errors import UserError, suggest

if TYPE_CHECKING:
    import torch

DEVICES = ("auto", "cpu", "cuda")


def check_device(name: str) -> str:
    """Returns the name; raises UserError unless it is one of :data:`DEVICES`."""
    if name not in DEVICES:
        raise UserError(f'there is no device "{name}".', where="--device", hint=suggest(name, DEVICES))
    return name


def pick_device(name: str) -> torch.device:
    """Returns the device; "auto" is CUDA where there is one.

    Raises:
        UserError: CUDA was asked for and is not there.
    """
    import torch

    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise UserError("torch sees no CUDA device here.", where="--device", hint="Use --device cpu.")
    return torch.device("cuda" if available and name in ("auto", "cuda") else "cpu")


def describe_device(device: torch.device) -> dict[str, Any]:
    """Returns what the hardware and execution digests are made of, in so far as only torch knows it."""
    import torch

    described: dict[str, Any] = {
        "device": device.type,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "dtype": str(torch.get_default_dtype()).removeprefix("torch."),
        "cuda": torch.version.cuda if device.type == "cuda" else None,
        "flags": _flags(),
    }
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        gpu = {"name": properties.name, "memory_gib": round(properties.total_memory / 2**30)}
        described |= {**gpu, "count": torch.cuda.device_count(), "gpu_uuid": gpu_uuid(device)}
    return described


def describe_attention() -> dict[str, Any]:
    """Returns which implementations of attention torch may choose from; which one it chose is another matter."""
    from torch.backends import cuda

    enabled = {
        "flash": cuda.flash_sdp_enabled(),
        "memory_efficient": cuda.mem_efficient_sdp_enabled(),
        "cudnn": cuda.cudnn_sdp_enabled(),
        "math": cuda.math_sdp_enabled(),
    }
    return {"attention": [name for name, there in enabled.items() if there]}


def gpu_uuid(device: torch.device) -> str | None:
    """Returns what names a CUDA device among all; None for another."""
    if device.type != "cuda":
        return None
    import torch

    return f"GPU-{torch.cuda.get_device_properties(device).uuid}"


def _flags() -> dict[str, Any]:
    """Returns torch's switches that change numerics or speed, as they are now: a model's code may have moved them."""
    import torch

    return {
        # The older names of these (allow_tf32) raise once anybody has set them by their new ones.
        "cuda_matmul_float32": torch.backends.cuda.matmul.fp32_precision,
        "cudnn_convolution_float32": torch.backends.cudnn.conv.fp32_precision,  # type: ignore[attr-defined]
        "cpu_matmul_float32": torch.backends.mkldnn.matmul.fp32_precision,  # type: ignore[attr-defined]
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "cudnn_deterministic": torch.backends.cudnn.deterministic,
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
    }
