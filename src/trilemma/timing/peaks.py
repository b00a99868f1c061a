"""Peaks of dense arithmetic, and the share of one that a model makes use of (MFU).

MFU = operations of an image · images/s ÷ peak (Chowdhery et al., PaLM, arXiv 2204.02311, appendix B). The peak is that
of the arithmetic in which the products really run: float32 tensors may be multiplied as TF32, by one switch for
products and another for convolutions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trilemma.card import Precision
from trilemma.errors import UserError
from trilemma.strict_toml import read

FILE = Path(__file__).with_name("peaks.toml")
SWITCHES = {"products": "cuda_matmul_float32", "convolutions": "cudnn_convolution_float32"}
"""The flags of a worker's environment that say how float32 is multiplied."""


@dataclass(frozen=True, kw_only=True)
class Peak:
    """TFLOP/s of some devices by arithmetic, None where a device lacks it; ``source`` is where they stand."""

    devices: tuple[str, ...]
    source: str
    fp32: float | None = None
    tf32: float | None = None
    bf16: float | None = None
    fp16: float | None = None


@dataclass(frozen=True, kw_only=True)
class _Table:
    peaks: tuple[Peak, ...]


def peaks() -> dict[str, Peak]:
    """Returns the table by device name."""
    return {device: peak for peak in read(FILE, _Table).peaks for device in peak.devices}


def arithmetic(precision: Precision, flags: Mapping[str, Any], operations: Mapping[str, int], device: str) -> str:
    """Returns in what a model's products run: "fp32", "tf32", "bf16" or "fp16".

    Args:
        flags: a worker's switches, as the record has them. operations: how much of each kind was counted.
        device: one of the table without TF32 multiplies float32 as it is, whatever the switches say.

    Raises:
        UserError: products run in one arithmetic and convolutions in another, so that no one peak is theirs.
    """
    if precision != "fp32":
        return precision
    found = peaks().get(device)
    if found is not None and found.tf32 is None:
        return "fp32"
    convolved = {name for name in operations if "conv" in name}
    kinds = {"convolutions": bool(convolved), "products": bool(operations.keys() - convolved)}
    used = {kind: "tf32" if flags[SWITCHES[kind]] == "tf32" else "fp32" for kind, there in kinds.items() if there}
    if len(set(used.values())) > 1:
        raise UserError("convolutions run in TF32 and products in float32, or the reverse: no one peak is theirs")
    return next(iter(used.values()), "fp32")


def peak_flops(device: str, kind: str) -> float:
    """Returns a device's operations per second at its peak; raises UserError where the table has no such number."""
    found = peaks().get(device)
    teraflops = None if found is None else getattr(found, kind)
    if teraflops is None:
        raise UserError(f"the table of peaks has no {kind} of {device}")
    return float(teraflops) * 1e12
