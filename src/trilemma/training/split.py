"""The finite split of a data set that every family sees."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from trilemma.data.datasets import TrainingData

RESOLUTION = 32
Indices = np.ndarray[Any, np.dtype[np.int64]]


class TrainingSplit:
    """Pictures, prompts and classes of the training split, by index.

    Files that are missing or damaged raise UserError at once: ``count`` is how many pictures there are.
    """

    def __init__(self, source: TrainingData) -> None:
        self.source = source
        self._name = source.training_split
        self.count = source.count(self._name)

    def pictures(self, indices: Indices, device: torch.device) -> Tensor:
        """Returns pictures as float32 ``(B, 3, 32, 32)`` in [-1, 1]."""
        images_NHW3 = torch.from_numpy(self.source.images(self._name, indices, RESOLUTION))
        return images_NHW3.permute(0, 3, 1, 2).to(device).float() / 127.5 - 1

    def prompts(self, indices: Indices) -> list[str]:
        """Returns what the pictures are asked for with."""
        return self.source.prompts(self._name, indices)

    def wrong_prompts(self, indices: Indices, rng: np.random.Generator) -> list[str]:
        """Returns prompts that are each wrong in one thing."""
        return self.source.wrong_prompts(self._name, indices, rng)

    def labels(self, indices: Indices, device: torch.device) -> Tensor:
        """Returns the classes as int64 ``(B,)``."""
        return torch.from_numpy(self.source.labels(self._name, indices)).to(device)
