"""float32 that is float32: on a GPU, convolutions take TF32 by default, and no identity would show it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def full_precision() -> Iterator[None]:
    """Computes in the full precision of the dtype, and puts the switches back.

    Torch has two sets of switches and refuses to work where they disagree, so that each is set through both.
    """
    cudnn: Any = torch.backends.cudnn
    matmul: Any = torch.backends.cuda.matmul
    legacy, former = _legacy_matmul(), matmul.fp32_precision
    convolution, recurrence = cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision
    torch.set_float32_matmul_precision("highest")
    cudnn.allow_tf32 = False
    matmul.fp32_precision = cudnn.conv.fp32_precision = cudnn.rnn.fp32_precision = "ieee"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(legacy)
        cudnn.allow_tf32 = convolution == "tf32"
        matmul.fp32_precision = former
        cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision = convolution, recurrence


def _legacy_matmul() -> str:
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:  # it disagrees with the newer switch, which alone was used
        return "highest"
