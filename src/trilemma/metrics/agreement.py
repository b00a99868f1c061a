"""Agreement with the prompt and with the manifold: numbers that every image has for itself, averaged.

CLIP score is 100 · cos between the CLIP embeddings of image and prompt, neither clamped nor rescaled (Hessel et al.,
arXiv 2104.08718, equation 1, without its factor 2.5, its prefix and its clamp; the cosines are formed by the caller).
Prompt accuracy is the share of images whose captioned factors are all read as asked. The residual is the RMS
difference, in grey levels, between an image and the re-rendering of what was read from it.
There is no reference implementation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from trilemma.errors import UserError
from trilemma.statistics.estimate import Estimate
from trilemma.statistics.means import finite_vector, mean_estimate, proportion_estimate


def clip_score(scores: ArrayLike, clusters: ArrayLike | None = None) -> Estimate:
    """Returns the mean CLIP score of (N,) scores on the scale 100 · cos."""
    return mean_estimate(scores, clusters)


def prompt_accuracy(read: ArrayLike, target: ArrayLike, clusters: ArrayLike | None = None) -> Estimate:
    """Returns the share of images all of whose factors are right; ``read`` and ``target`` are integers (N, F).

    Raises:
        UserError: unequal shapes, or a target below 0, which an image without a prompt has.
    """
    read_NF, target_NF = np.asarray(read), np.asarray(target)
    if read_NF.ndim != 2 or read_NF.shape != target_NF.shape:
        raise UserError(f"Factors read and asked for must be (N, F); they are {read_NF.shape} and {target_NF.shape}.")
    if (target_NF < 0).any():
        raise UserError("Prompt accuracy needs images that were asked for something; a target is below 0.")
    return proportion_estimate((read_NF == target_NF).all(axis=1), clusters)


def mean_residual(residuals: ArrayLike, clusters: ArrayLike | None = None) -> Estimate:
    """Returns the mean residual of (N,) residuals in grey levels 0..255."""
    return mean_estimate(residuals, clusters)


def off_manifold_rate(residuals: ArrayLike, threshold: float, clusters: ArrayLike | None = None) -> Estimate:
    """Returns the share of images whose residual (N,) exceeds ``threshold``, real images' 99th percentile."""
    return proportion_estimate(finite_vector(residuals, "residuals") > threshold, clusters)
