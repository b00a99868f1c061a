"""Finite scalar quantisation (Mentzer et al., arXiv 2309.15505, §3): a fixed grid in place of a learned codebook."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class FiniteScalarQuantizer(nn.Module):
    """Rounds each of ``len(levels)`` channels to one of its levels; the gradient passes straight through.

    A code is a grid point in [-1, 1]; its index counts the levels as digits, the first channel fastest.
    """

    size: Tensor
    digit: Tensor

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        self.levels = tuple(levels)
        self.codes = math.prod(levels)
        self.register_buffer("size", torch.tensor(levels, dtype=torch.float32), persistent=False)
        digits = torch.cumprod(torch.tensor([1, *levels[:-1]]), 0)
        self.register_buffer("digit", digits, persistent=False)

    def forward(self, z_BCHW: Tensor) -> Tensor:
        """Returns the codes nearest to unbounded latents ``(B, len(levels), H, W)``, as float in [-1, 1]."""
        size = self._channels(self.size)
        half = (size - 1) * (1 + 1e-3) / 2
        offset = torch.where(size % 2 == 0, 0.5, 0.0)
        bounded = torch.tanh(z_BCHW + torch.atanh(offset / half)) * half - offset
        rounded = bounded + (bounded.round() - bounded).detach()
        return (rounded + size // 2) / (size - 1) * 2 - 1

    def indices(self, codes_BCHW: Tensor) -> Tensor:
        """Returns int64 ``(B, H, W)`` indices of codes."""
        digits = ((codes_BCHW + 1) / 2 * (self._channels(self.size) - 1)).round().long()
        return (digits * self._channels(self.digit)).sum(1)

    def lookup(self, indices_BHW: Tensor) -> Tensor:
        """Returns the codes ``(B, len(levels), H, W)`` of indices."""
        digits = indices_BHW[:, None] // self._channels(self.digit) % self._channels(self.size).long()
        return digits.float() / (self._channels(self.size) - 1) * 2 - 1

    @staticmethod
    def _channels(values: Tensor) -> Tensor:
        return values.view(1, -1, 1, 1)
