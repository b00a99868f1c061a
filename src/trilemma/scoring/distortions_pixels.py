"""Damage to one image: uint8 (H, W, 3) in and out, the same bytes for the same image, strength and generator.

Strengths are relative to the image (a share of its shorter side) or in grey levels, so that one scale suits 32 pixels
and 512.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

Pixels = NDArray[np.uint8]
VERSION = 1
"""Raised when the same image, strength and generator would give other pixels."""

_WARM = np.array([1.0, 0.0, -1.0], dtype=np.float32)


def blur(image: Pixels, share: float, rng: np.random.Generator) -> Pixels:
    """Convolves with a Gaussian whose standard deviation is ``share`` of the shorter side; edges are repeated."""
    sigma = share * min(image.shape[:2])
    return _rounded(gaussian_filter(image.astype(np.float32), (sigma, sigma, 0), mode="nearest"))


def grain(image: Pixels, deviation: float, rng: np.random.Generator) -> Pixels:
    """Adds independent Gaussian noise of ``deviation`` grey levels to every value."""
    return _rounded(image + np.float32(deviation) * rng.standard_normal(image.shape, dtype=np.float32))


def warm(image: Pixels, shift: float, rng: np.random.Generator) -> Pixels:
    """Adds ``shift`` grey levels to red, and takes them from blue."""
    return _rounded(image + np.float32(shift) * _WARM)


def jpeg(image: Pixels, quality: float, rng: np.random.Generator) -> Pixels:
    """Compresses at a quality from 1 to 95, colour halved in resolution as encoders do by default, and back."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=round(quality), subsampling="4:2:0")
    return np.asarray(Image.open(buffer).convert("RGB"))


def negative(image: Pixels) -> Pixels:
    """Turns every value v into 255 - v: as sharp as before, and of a kind that photographs and Scenes do not hold."""
    return 255 - image


def _rounded(values: NDArray[Any]) -> Pixels:
    rounded: Pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return rounded
