"""The extractor without a network: an image's grey levels, as preprocessing leaves them."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GreyLevels(nn.Module):
    """Whole grey levels ``(B, 3, size, size)`` in [0, 255] to ``thumbnails`` uint8 and ``features`` in [0, 1].

    Both are ``(B, width)``.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.width = 3 * size**2

    def forward(self, grey_B3HW: Tensor) -> dict[str, Tensor]:
        """Returns both, channel by channel."""
        grey_BD = grey_B3HW.flatten(1)
        return {"thumbnails": grey_BD.to(torch.uint8), "features": grey_BD / 255}
