"""Batches that do not fit: how that shows, what is left to clean up, and how to know before the system kills us."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    import torch

# What libraries say that do not raise an error class of their own for it.
_SIGNS = ("out of memory", "can't allocate memory", "ALLOC_FAILED", "not enough memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory, of the device or of the host, did not suffice."""
    import torch

    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


def release(device: torch.device) -> None:
    """Gives back what a call that failed held; the error must be forgotten by now, for its traceback holds tensors."""
    gc.collect()
    if device.type == "cuda":
        import torch

        torch.cuda.empty_cache()


def too_little_on_host(grown_bytes: int, size: int, next_size: int) -> str | None:
    """Returns why the next batch size must not be tried on this host: its process would be killed, not refused.

    Args:
        grown_bytes: by which the process has grown at ``size``; a batch is taken to need its share of that.
    """
    needed, available = grown_bytes * (next_size / size - 1), psutil.virtual_memory().available
    if needed <= available:
        return None
    return f"would need about {needed / 2**30:.1f} GiB more, and {available / 2**30:.1f} GiB are left"
