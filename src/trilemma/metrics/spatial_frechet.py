"""sFID: the Fréchet distance over spatial features, which sees where things are as well as what they are.

The features are the first 7 channels of Inception's `mixed_6/conv` map, 7 × 17 × 17 = 2,023 numbers for each image,
kept in place instead of pooled. The distance is the one of ``frechet``.

Paper: Nash et al., "Generating images with sparse representations", arXiv 2103.03841, §4.1.
Reference implementation: https://github.com/openai/guided-diffusion/blob/main/evaluations/evaluator.py
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trilemma.errors import UserError
from trilemma.metrics.frechet import frechet_distance
from trilemma.metrics.moments import Gaussian
from trilemma.statistics.estimate import Estimate

CHANNELS = 7
SIDE = 17
WIDTH = CHANNELS * SIDE * SIDE


def spatial_features(maps: ArrayLike) -> NDArray[Any]:
    """Returns the spatial features (N, 2023) of maps (N, C, 17, 17), C >= 7, by row, column and channel as ADM does.

    Raises:
        UserError: maps of another shape.
    """
    maps_NCHW = np.asarray(maps)
    if maps_NCHW.ndim != 4 or maps_NCHW.shape[1] < CHANNELS or maps_NCHW.shape[2:] != (SIDE, SIDE):
        raise UserError(f"Spatial features are made of maps (N, C, {SIDE}, {SIDE}); these are {maps_NCHW.shape}.")
    return maps_NCHW[:, :CHANNELS].transpose(0, 2, 3, 1).reshape(len(maps_NCHW), WIDTH)


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
