"""Damage done to pictures while the instruments are trained, so that they see it, and read through it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def _none(x: Tensor, strength: Tensor) -> Tensor:
    return x


def _grain(x: Tensor, strength: Tensor) -> Tensor:
    return x + torch.randn_like(x) * (0.03 + 0.4 * strength)


def _blur(x: Tensor, strength: Tensor) -> Tensor:
    soft = F.avg_pool2d(F.pad(x, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
    return x + (soft - x) * (0.3 + 0.7 * strength)


def _coarse(x: Tensor, strength: Tensor) -> Tensor:
    small = F.interpolate(F.avg_pool2d(x, 4), scale_factor=4, mode="bilinear", align_corners=False)
    return x + (small - x) * (0.3 + 0.7 * strength)


def _tint(x: Tensor, strength: Tensor) -> Tensor:
    return x + torch.randn(len(x), 3, 1, 1, device=x.device) * (0.05 + 0.25 * strength)


def _patches(x: Tensor, strength: Tensor) -> Tensor:
    """Swaps 8x8 patches with those of another picture, as a model does that fails to join its parts."""
    chance = torch.rand(len(x), 1, 4, 4, device=x.device)
    lowest = chance.flatten(1).amin(1)[:, None, None, None]  # one patch at least: else the label "damaged" were false
    swapped = ((chance < 0.05 + 0.4 * strength) | (chance == lowest)).float()
    mask = F.interpolate(swapped, size=x.shape[-2:], mode="nearest")
    return x + mask * (x.roll(1, dims=0) - x)


KINDS: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (_none, _grain, _blur, _coarse, _tint, _patches)


def damage(images_B3HW: Tensor, share: float, strongest: float = 1.0) -> tuple[Tensor, Tensor]:
    """Damages a share of the pictures, each in one way.

    Args:
        images_B3HW: float in [-1, 1].
        share: of the pictures that are damaged.
        strongest: from 0 to 1, the upper end of the strengths, which are drawn uniformly.

    Returns:
        The pictures, clamped to [-1, 1], and int64 ``(B,)``: 0 where clean, else the kind of damage.
    """
    count = len(images_B3HW)
    kind_B = torch.randint(1, len(KINDS), (count,)) * (torch.rand(count) < share)
    kind_B = kind_B.to(images_B3HW.device)
    strength = torch.rand(count, 1, 1, 1, device=images_B3HW.device) * strongest
    output = images_B3HW.clone()
    for kind, function in enumerate(KINDS):
        rows = kind_B == kind
        if kind and rows.any():
            output[rows] = function(images_B3HW[rows], strength[rows])
    return output.clamp(-1, 1), kind_B
