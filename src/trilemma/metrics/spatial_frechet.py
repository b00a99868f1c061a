"""sFID: the Fréchet distance over spatial features, which sees where things are as well as what they are.

The features are the first 7 channels of Inception's `mixed_6/conv` map, 7 × 17 × 17 = 2,023 numbers for each image,
kept in place instead of pooled. The distance is the one of ``frechet``.

Paper: Nash et al., "Generating images with sparse representations", arXiv 2103.03841, §4.1.
Reference implementation: https://github.com/openai/guided-diffusion/blob/main/evaluations/evaluator.py
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from trilemma.errors import UserError
from trilemma.metrics.frechet import frechet_distance
from trilemma.metrics.moments import Gaussian
from trilemma.statistics.estimate import Estimate

WIDTH = 7 * 17 * 17


def spatial_frechet_distance(
    generated: ArrayLike,
    reference: Gaussian,
    clusters: ArrayLike | None = None,
    *,
    reference_features: ArrayLike | None = None,
) -> Estimate:
    """Returns sFID of spatial features (N, 2023): see ``frechet_distance``, whose errors and refusals are its own.

    Raises:
        UserError: features of another width.
    """
    if np.shape(generated)[1:] != (WIDTH,):
        raise UserError(f"sFID is of features (N, {WIDTH}); these are {np.shape(generated)}.")
    return frechet_distance(generated, reference, clusters, reference_features=reference_features)
