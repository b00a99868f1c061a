"""Within-prompt diversity: how unlike are the images that one prompt gives?

For each prompt either the Vendi score of its images or their mean pairwise distance 1 − cos; then the mean over
prompts. A model that answers every prompt with one image scores 1 and 0, though its images without regard to prompts
may look diverse. Both depend on how many images a prompt has (Vendi grows with it), so every prompt brings as many: as
the one that has fewest. Higher is more diverse. The standard error is over prompts, which are the independent units.

Papers: Friedman and Dieng, "The Vendi score", arXiv 2210.02410, §5 (by class); Astolfi et al., "Consistency-diversity-
realism Pareto fronts of conditional image generative models", arXiv 2406.10429, §3 (by prompt).
There is no reference implementation of the mean over prompts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trilemma.errors import UserError
from trilemma.metrics.arrays import number_matrix, unit_rows
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
    return _mean_over_prompts(features, prompts, lambda part_RD: vendi_value(part_RD, q=q))


def within_prompt_distance(features: ArrayLike, prompts: ArrayLike) -> Estimate:
    """Returns the mean over prompts of the mean distance 1 − cos between two of their images; see above."""
    return _mean_over_prompts(features, prompts, mean_pairwise_distance)


def mean_pairwise_distance(features: ArrayLike) -> float:
    """Returns the mean of 1 − cos over all pairs of different rows of features (R, D), R >= 2."""
    rows_RD = unit_rows(number_matrix(features, "features"), "features")
    count = len(rows_RD)
    if count < 2:
        raise UserError(f"A pairwise distance needs 2 images; there are {count}.")
    # The sum of all cosines is the squared length of the sum of the rows.
    sum_D = rows_RD.sum(axis=0)
    return 1 - (float(sum_D @ sum_D) - count) / (count * (count - 1))


def _mean_over_prompts(features: ArrayLike, prompts: ArrayLike, diversity: Callable[[NDArray[Any]], float]) -> Estimate:
    features_ND, names_N = number_matrix(features, "features"), np.asarray(prompts)
    if names_N.shape != (len(features_ND),):
        raise UserError(f"There are {len(features_ND)} images but prompts of shape {names_N.shape}.")
    names_P, counts_P = np.unique(names_N, return_counts=True)
    if len(names_P) < 2:
        return too_few(len(names_P), needed=2, what="prompts")
    images = int(counts_P.min())
    if images < MINIMUM_IMAGES:
        return too_few(images, needed=MINIMUM_IMAGES, what="images of every prompt")
    values = [diversity(features_ND[np.flatnonzero(names_N == name)[:images]]) for name in names_P]
    return replace(mean_estimate(values), se_method="mean_clustered", n=images * len(names_P))
