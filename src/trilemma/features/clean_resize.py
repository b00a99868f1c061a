"""Pillow's bicubic resize of float images as two matrix products: clean-fid's resize, for whole batches, on any device.

Pillow resamples one channel of one image at a time on the CPU, which takes longer than Inception does on a GPU. Its
filter is linear and separable: a matrix for rows and one for columns give the same image up to float rounding.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SUPPORT = 2.0  # in pixels of whichever image is the coarser


def resize_clean(images_BCHW: Tensor, size: int) -> Tensor:
    """Returns float images ``(B, C, size, size)`` in [0, 255] of float images in [0, 255], unrounded.

    Source: Pillow's Resample.c (bicubic, a = -1/2, widened when an image shrinks; first horizontally), then clipped.
    """
    rows_SH, columns_SW = (_on(images_BCHW, length, size) for length in images_BCHW.shape[2:])
    return (rows_SH @ (images_BCHW @ columns_SW.T)).clamp(0, 255)


def bicubic_matrix(length: int, size: int) -> NDArray[np.float64]:
    """Returns ``(size, length)``: what each pixel of a line gives to each of the resized line; rows sum to 1."""
    step = length / size
    widening = max(step, 1.0)
    centre_S1 = (np.arange(size)[:, None] + 0.5) * step
    weights_SL = _keys((np.arange(length) + 0.5 - centre_S1) / widening)
    normalised: NDArray[np.float64] = weights_SL / weights_SL.sum(1, keepdims=True)
    return normalised


def _keys(x: NDArray[np.float64], a: float = -0.5) -> NDArray[np.float64]:
    """Keys' cubic convolution kernel, 1981, equation 4."""
    x = np.abs(x)
    inner = ((a + 2) * x - (a + 3)) * x**2 + 1
    outer = a * (((x - 5) * x + 8) * x - 4)
    kernel: NDArray[np.float64] = np.where(x < 1, inner, np.where(x < SUPPORT, outer, 0.0))
    return kernel


@lru_cache(maxsize=64)
def _matrix(length: int, size: int) -> Tensor:
    return torch.from_numpy(bicubic_matrix(length, size))


def _on(images: Tensor, length: int, size: int) -> Tensor:
    return _matrix(length, size).to(device=images.device, dtype=images.dtype)
