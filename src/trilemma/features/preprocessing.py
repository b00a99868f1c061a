"""uint8 images of any size to a network's input, exactly as the protocol's own suite prepares them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from trilemma.errors import UserError
from trilemma.features.clean_resize import resize_clean
from trilemma.features.recipe import Fit, Normalization, Recipe, Resize
from trilemma.features.thumbnails import area_average

Pixels = NDArray[np.uint8]


def prepare(images: Sequence[Pixels], recipe: Recipe, device: torch.device) -> Tensor:
    """Returns ``(B, 3, size, size)`` in the recipe's dtype, on the device.

    Args:
        images: uint8 ``(H, W, 3)`` each, of one size or of several.
        recipe: says resize, normalisation and dtype.
        device: where to.

    Raises:
        UserError: an image is not uint8 RGB, or sizes differ where the recipe does not resize.
    """
    dtype = getattr(torch, recipe.dtype)
    runs = _runs(images)
    if recipe.resize is None and len(runs) > 1:
        raise UserError("these images are of different sizes, and this extractor resizes none.")
    grey = torch.cat([_resized(run, recipe.resize, device, dtype) for run in runs])
    return normalize(grey, recipe.normalization)


def normalize(grey_B3HW: Tensor, how: Normalization) -> Tensor:
    """Returns ``(x / scale - mean) / std`` channel by channel."""
    mean, std = (grey_B3HW.new_tensor(values)[:, None, None] for values in (how.mean, how.std))
    return (grey_B3HW / how.scale - mean) / std


def resize_tensorflow1(images_B3HW: Tensor, size: int) -> Tensor:
    """Returns float images resized as TensorFlow 1 does it: bilinear, corners for centres, not anti-aliased."""
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x as interpolate

    resized: Tensor = interpolate(images_B3HW, size=(size, size), align_corners=False)
    return resized


def resize_torch(images_B3HW: Tensor, size: int) -> Tensor:
    """Returns float images resized as pytorch-fid does it: bilinear between pixel centres, not anti-aliased."""
    return F.interpolate(images_B3HW, size=(size, size), mode="bilinear", align_corners=False)


def resize_pillow(image: Pixels, size: int, fit: Fit) -> Pixels:
    """Returns one uint8 image ``(size, size, 3)``: Pillow's bicubic filter, rounded to uint8."""
    picture = Image.fromarray(image)
    if fit == "centre-square":
        picture = _centre_square(picture)
    if fit == "shortest-side":
        short = min(picture.size)
        width, height = (int(size * side / short) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.BICUBIC)
        left, top = (int(round((side - size) / 2)) for side in picture.size)
        return np.asarray(picture.crop((left, top, left + size, top + size)))
    return np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC))


def _resized(images: list[Pixels], resize: Resize | None, device: torch.device, dtype: torch.dtype) -> Tensor:
    if resize is not None and resize.kernel == "area":
        return _tensor([area_average(image, resize.size) for image in images], device, dtype)
    if resize is not None and resize.quantized:
        return _tensor(_in_threads(images, resize), device, dtype)
    grey = _tensor(images, device, dtype)
    if resize is None:
        return grey
    return _RESIZERS[resize.implementation](grey, resize.size)


def _in_threads(images: list[Pixels], resize: Resize) -> list[Pixels]:
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:  # Pillow resizes without holding the interpreter
        return list(pool.map(lambda image: resize_pillow(image, resize.size, resize.fit), images))


def _runs(images: Sequence[Pixels]) -> list[list[Pixels]]:
    """Neighbours of one size together."""
    runs: list[list[Pixels]] = []
    for image in images:
        _check(image)
        if runs and runs[-1][0].shape == image.shape:
            runs[-1].append(image)
        else:
            runs.append([image])
    return runs


def _check(image: Pixels) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise UserError(f"an image must be uint8 (H, W, 3), not {image.dtype} {image.shape}.")


def _tensor(images: list[Pixels], device: torch.device, dtype: torch.dtype) -> Tensor:
    stacked = torch.from_numpy(np.stack(images)).to(device)
    return stacked.permute(0, 3, 1, 2).contiguous().to(dtype)


def _centre_square(picture: Image.Image) -> Image.Image:
    side = min(picture.size)
    left, top = ((length - side) // 2 for length in picture.size)
    return picture.crop((left, top, left + side, top + side))


_RESIZERS = {"tensorflow1": resize_tensorflow1, "torch": resize_torch, "pillow": resize_clean}
