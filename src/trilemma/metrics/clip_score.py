"""CLIP score: how near image and prompt lie in CLIP's space. Scale, prefix and clamp are conventions, and are stated.

    published as     scale   prefix               negative cosines
    CLIPScore          2.5   "A photo depicts "   become 0
    torchmetrics       100   none                 become 0 (the mean, not each, is clamped there)
    raw                  1   none                 stay

Higher is better. Scores of different conventions or backbones are never comparable.

Paper: Hessel et al., "CLIPScore: a reference-free evaluation metric for image captioning", arXiv 2104.08718,
equation 1.
Reference implementation: https://github.com/jmhessel/clipscore
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trilemma.errors import UserError
from trilemma.metrics.arrays import number_matrix, unit_rows
from trilemma.statistics.estimate import Estimate
from trilemma.statistics.means import mean_estimate


@dataclass(frozen=True, kw_only=True)
class ClipConvention:
    """How cosines become scores.

    Attributes:
        scale: multiplies the cosine.
        prefix: put before every prompt when it is embedded.
        clamp: whether a negative cosine counts as 0, image by image.
    """

    scale: float = 100.0
    prefix: str = ""
    clamp: bool = False

    def caption(self, prompt: str) -> str:
        """Returns the text that is embedded for a prompt."""
        return self.prefix + prompt


PLAIN = ClipConvention()


def clip_scores(images: ArrayLike, texts: ArrayLike, convention: ClipConvention = PLAIN) -> NDArray[np.float64]:
    """Returns the score of each image with its own prompt, float64 (N,), from embeddings (N, D) of any length.

    Raises:
        UserError: embeddings that are not finite, are zero, or differ in shape.
    """
    images_ND, texts_ND = number_matrix(images, "image embeddings"), number_matrix(texts, "text embeddings")
    if images_ND.shape != texts_ND.shape:
        raise UserError(f"Each image needs the embedding of its prompt: {images_ND.shape} against {texts_ND.shape}.")
    units = unit_rows(images_ND, "image embeddings"), unit_rows(texts_ND, "text embeddings")
    cosines_N: NDArray[np.float64] = np.einsum("nd,nd->n", *units)
    return convention.scale * (cosines_N.clip(min=0) if convention.clamp else cosines_N)


def clip_score(
    images: ArrayLike, texts: ArrayLike, clusters: ArrayLike | None = None, *, convention: ClipConvention = PLAIN
) -> Estimate:
    """Returns the mean of ``clip_scores`` with its standard error, clustered by ``clusters`` (N,) where given."""
    return mean_estimate(clip_scores(images, texts, convention), clusters)
