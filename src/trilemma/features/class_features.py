"""The feature extractor of a data set with classes as one of the suite's extractors."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from trilemma.errors import UserError
from trilemma.features.class_net import load_class_net

RESOLUTION = 32


class ClassFeatures(nn.Module):
    """Pixels ``(B, 3, 32, 32)`` in [-1, 1] to features, and the logits of the classes.

    Raises:
        UserError: the weights in the folder are not those of such a network.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        try:
            with torch.random.fork_rng(devices=()):  # its initial weights are drawn, and replaced at once
                self.network = load_class_net(folder)
        except (KeyError, RuntimeError, ValueError) as error:
            raise UserError("these are not the weights of an extractor of classes.", where=str(folder)) from error
        self.width: int = self.network.neck.out_features
        self.classes: int = self.network.sizes[0]
        if self.classes < 2:
            raise UserError("this network tells no classes apart.", where=str(folder))

    def forward(self, pixels_B3HW: Tensor) -> dict[str, Tensor]:
        """Returns ``features`` (B, width) and ``logits`` (B, classes)."""
        if pixels_B3HW.shape[2:] != (RESOLUTION, RESOLUTION):
            height, width = pixels_B3HW.shape[2:]
            raise UserError(f"this extractor measures {RESOLUTION}x{RESOLUTION} images, not {width}x{height}.")
        features = self.network.features(pixels_B3HW)
        return {"features": features, "logits": self.network.predict(features).logits_BK}
