"""The feature extractor of Scenes as one of the suite's extractors."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from trilemma.errors import UserError
from trilemma.features.factor_net import load_factor_net

RESOLUTION = 32


class ScenesFeatures(nn.Module):
    """Pixels ``(B, 3, 32, 32)`` in [-1, 1] to features, and the logits of shape, colour and background."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=()):  # its initial weights are drawn, and replaced at once
            self.network = load_factor_net(folder)
        self.width: int = self.network.neck.out_features

    def forward(self, pixels_B3HW: Tensor) -> dict[str, Tensor]:
        """Returns ``features`` (B, width) and ``logits`` (B, 24)."""
        if pixels_B3HW.shape[2:] != (RESOLUTION, RESOLUTION):
            height, width = pixels_B3HW.shape[2:]
            raise UserError(f"the extractor of Scenes measures {RESOLUTION}x{RESOLUTION} images, not {width}x{height}.")
        features = self.network.features(pixels_B3HW)
        return {"features": features, "logits": self.network.predict(features).logits_BK}
