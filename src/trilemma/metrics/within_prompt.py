"""Within-prompt diversity: how unlike are the images that one prompt gives?

The Vendi score of each prompt's images, then the mean over prompts. A model that answers every prompt with one image
scores 1, though its images without regard to prompts may look diverse. The score grows with the number of images, so
every prompt brings as many: as the one that has fewest. Higher is more diverse. The standard error is over prompts,
which are the independent units.

Papers: Friedman and Dieng, "The Vendi score", arXiv 2210.02410, §5 (by class); Astolfi et al., "Consistency-diversity-
realism Pareto fronts of conditional image generative models", arXiv 2406.10429, §3 (by prompt).
There is no reference implementation of the mean over prompts.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from trilemma.errors import UserError
from trilemma.metrics.arrays import number_matrix
from trilemma.metrics.vendi import vendi_value
from trilemma.statistics.estimate import Estimate, too_few
from trilemma.statistics.means import mean_estimate

MINIMUM_IMAGES = 2


def within_prompt_vendi(features: ArrayLike, prompts: ArrayLike, *, q: float = 1.0) -> Estimate:
    """Returns the mean over prompts of the Vendi score of order q of their images' features.

    Args:
        features: (N, D). prompts: (N,) names of the prompts.

    Raises:
        UserError: features that are not finite or are zero, or labels of another length.
    """
    features_ND, names_N = number_matrix(features, "features"), np.asarray(prompts)
    if names_N.shape != (len(features_ND),):
        raise UserError(f"There are {len(features_ND)} images but prompts of shape {names_N.shape}.")
    names_P, counts_P = np.unique(names_N, return_counts=True)
    if len(names_P) < 2:
        return too_few(len(names_P), needed=2, what="prompts")
    images = int(counts_P.min())
    if images < MINIMUM_IMAGES:
        return too_few(images, needed=MINIMUM_IMAGES, what="images of every prompt")
    values = [vendi_value(features_ND[np.flatnonzero(names_N == name)[:images]], q=q) for name in names_P]
    return replace(mean_estimate(values), se_method="mean_clustered", n=images * len(names_P))
