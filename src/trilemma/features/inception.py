"""Inception as torch-fidelity runs it, where its weights are at hand; nothing is ever downloaded.

Network, resize and weights are torch-fidelity's port of the TensorFlow graph of 2015-12-05, so that FID and IS are the
numbers that it would give.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trilemma.errors import UserError


class Inception(nn.Module):
    """uint8 images to ``inception`` (B, 2048) and ``inception_logits`` (B, 1008), without the last bias."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        check_tensors_only(path)
        self.network = FeatureExtractorInceptionV3("inception", ["2048", "logits_unbiased"], str(path))

    @torch.no_grad()
    def measure(self, images: Tensor) -> dict[str, NDArray[Any]]:
        """Returns float32 features and logits of uint8 ``(B, 3, H, W)``."""
        features, logits = self.network(images)
        return {"inception": features.cpu().numpy(), "inception_logits": logits.cpu().numpy()}


def check_tensors_only(path: Path) -> None:
    """Raises UserError if a weights file holds anything but tensors: torch-fidelity itself would execute it."""
    try:
        torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError) as error:
        raise UserError(
            "this file is damaged or holds more than tensors; it is not loaded.", where=str(path)
        ) from error
