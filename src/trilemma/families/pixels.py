"""Whatever a pipeline returns, as uint8: tensors and arrays in [0, 1], and images of Pillow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


def to_pixels(images: Tensor | np.ndarray[Any, Any] | Sequence[Any]) -> Tensor:
    """Returns uint8 ``(B, 3, H, W)``; grey is repeated.

    Args:
        images: float ``(B, C, H, W)``, float ``(B, H, W, C)`` or ``(B, H, W)`` as an array, or B images of Pillow.
    """
    if isinstance(images, Tensor):
        return _in_colour(quantized(images))
    if isinstance(images, np.ndarray):
        stacked = images[..., None] if images.ndim == 3 else images
        return _in_colour(quantized(torch.from_numpy(stacked).permute(0, 3, 1, 2)))
    pixels = np.stack([np.asarray(image.convert("RGB")) for image in images])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()


def quantized(images_01: Tensor) -> Tensor:
    """Rounds float numbers in [0, 1] to uint8."""
    return (images_01.float() * 255).round().clamp(0, 255).to(torch.uint8)


def _in_colour(images: Tensor) -> Tensor:
    return images.expand(-1, 3, -1, -1).contiguous() if images.shape[1] == 1 else images
