"""What one network has made of one side: all that the metrics of a preset see of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trilemma.identity import digest
from trilemma.metrics.moments import Gaussian

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Nearest:
    """How near images come to training images.

    Attributes:
        distances_N: of each image to the nearest of them, RMS grey levels, float64.
        training: sha256 of the training images' content. training_images: how many there are.
    """

    distances_N: Array
    training: str
    training_images: int


@dataclass(frozen=True, kw_only=True)
class FeatureSet:
    """Features of images, or Gaussians that somebody fitted to such.

    Attributes:
        digest: sha256 of what they were made of: of the images' content, or of a statistics file.
        count: how many images; None where a statistics file does not tell.
        arrays: by output of the extractor ("features", "logits", "spatial", "thumbnails"), (N, D) each; without any
            for statistics.
        gaussians: by output, for statistics. Where both are there, as in ADM's reference batches, Fréchet distances
            take the Gaussian, and all else the arrays.
        texts: (N, D) embeddings of the images' prompts, where there are prompts and a network that reads them.
        prompts: sha256 of the prompts, where there are any.
        groups: (N,) names of what belongs together, such as the prompt of several images; None where every image
            stands for itself.
        nearest: where there are training images, how near each image comes to one.
    """

    digest: str
    count: int | None
    arrays: Mapping[str, Array] = field(default_factory=dict)
    gaussians: Mapping[str, Gaussian] = field(default_factory=dict)
    texts: Array | None = None
    prompts: str | None = None
    groups: Array | None = None
    nearest: Nearest | None = None

    def rows(self, chosen: NDArray[np.int64]) -> FeatureSet:
        """Returns the features of some images alone, in the order of ``chosen``; Gaussians of all are left behind."""
        return replace(
            self,
            digest=digest(["rows", self.digest, chosen.tolist()]),
            count=len(chosen),
            arrays={name: array[chosen] for name, array in self.arrays.items()},
            gaussians={},
            texts=None if self.texts is None else self.texts[chosen],
            groups=None if self.groups is None else self.groups[chosen],
            nearest=None
            if self.nearest is None
            else replace(self.nearest, distances_N=self.nearest.distances_N[chosen]),
        )
