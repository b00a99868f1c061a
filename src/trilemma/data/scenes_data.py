"""Scenes as a data set among others: its modes are the classes, its captions the prompts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trilemma.data import scenes
from trilemma.data.datasets import Indices

ENDLESS = 2**63 - 1


class ScenesData:
    """Pictures that are drawn when they are asked for; see ``datasets.TrainingData`` for what it promises.

    Any name is a split of its own, and all but "train" have no end.
    """

    name = "scenes"
    version = scenes.VERSION
    resolution = None
    training_split = "train"
    gate_split = "gate"

    def count(self, split: str) -> int:
        """Returns how many pictures a split has."""
        return scenes.TRAIN_IMAGES if split == self.training_split else ENDLESS

    def images(self, split: str, indices: Indices, resolution: int) -> NDArray[np.uint8]:
        """Draws pictures."""
        return scenes.images(split, indices, resolution)

    def prompts(self, split: str, indices: Indices) -> list[str]:
        """Returns one caption for each picture."""
        return scenes.captions(split, indices)

    def labels(self, split: str, indices: Indices) -> NDArray[np.int64]:
        """Returns the mode of each picture, 0 to 511."""
        return scenes.factors(split, indices).mode

    def vocabulary(self) -> list[str]:
        """Returns every word that a caption can hold, sorted."""
        return scenes.vocabulary()

    def wrong_prompts(self, split: str, indices: Indices, rng: np.random.Generator) -> list[str]:
        """Returns captions in which exactly one captioned factor is wrong."""
        known = scenes.factors(split, indices)
        told_N3 = np.stack([known.shape, known.color, known.background], 1)
        rows = np.arange(len(told_N3))
        which = rng.integers(0, 3, len(told_N3))
        told_N3[rows, which] = (told_N3[rows, which] + rng.integers(1, 8, len(told_N3))) % 8
        return [scenes.caption(int(s), int(c), int(b)) for s, c, b in told_N3]


def open_scenes(download: bool = False) -> ScenesData:
    """Returns Scenes; there is nothing to download."""
    return ScenesData()
