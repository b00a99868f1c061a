"""The copy test: generated images that lie nearer to a training image than unseen real images do.

The distance of an image is the root mean square difference, in grey levels 0..255, between its thumbnail and the
nearest one of the training split. The threshold is the 1 % quantile of that distance over held-out real images, and
the copy rate the share of generated images below it: 1 % is what honest images show. Whether a higher rate is beyond
chance is decided by an exact test.

Idea: Carlini et al., "Extracting training data from diffusion models", arXiv 2301.13188: a near-duplicate in pixels is
a copy. Scores on features tell copying from underfitting badly (Stein et al., arXiv 2306.04675), a calibrated distance
does not depend on them. There is no reference implementation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trilemma.errors import UserError
from trilemma.metrics.neighbors import nearest
from trilemma.statistics.distributions import beta_binomial_tail
from trilemma.statistics.estimate import Estimate, too_few
from trilemma.statistics.means import finite_vector, proportion_estimate

QUANTILE = 0.01
SIGNIFICANCE = 0.001


@dataclass(frozen=True, kw_only=True)
class CopyTest:
    """The outcome of one copy test.

    Attributes:
        rate: share of generated images below the threshold.
        threshold: RMS grey levels, or None without a rate.
        p_value: chance that honest images show this many copies or more.
        beyond_chance: whether p_value is below the significance asked for.
    """

    rate: Estimate
    threshold: float | None
    p_value: float | None
    beyond_chance: bool


@dataclass(frozen=True, kw_only=True)
class NearestTraining:
    """Each image's nearest training image.

    Attributes:
        distances_N: RMS grey levels between the thumbnails, float64.
        rows_N: which training image it is, int64.
    """

    distances_N: NDArray[np.float64]
    rows_N: NDArray[np.int64]


def nearest_training(thumbnails: ArrayLike, training: ArrayLike) -> NearestTraining:
    """Returns the nearest training thumbnail of each thumbnail.

    Args:
        thumbnails: (N, D), and training: (M, D), grey levels 0..255 as uint8 or float32.
    """
    distances_N, rows_N = nearest(thumbnails, training)
    return NearestTraining(distances_N=distances_N / math.sqrt(np.asarray(training).shape[1]), rows_N=rows_N)


def nearest_distances(thumbnails: ArrayLike, training: ArrayLike) -> NDArray[np.float64]:
    """Returns the distances of :func:`nearest_training` alone, float64 (N,)."""
    return nearest_training(thumbnails, training).distances_N


def copy_threshold(heldout_distances: ArrayLike, quantile: float = QUANTILE) -> float:
    """Returns the distance below which an image counts as a copy: the order statistic of rank round(quantile · M)."""
    heldout_M = finite_vector(heldout_distances, "held-out distances")
    return float(np.sort(heldout_M)[_rank(len(heldout_M), quantile) - 1])


def copy_test(
    generated_distances: ArrayLike,
    heldout_distances: ArrayLike,
    *,
    quantile: float = QUANTILE,
    significance: float = SIGNIFICANCE,
    clusters: ArrayLike | None = None,
) -> CopyTest:
    """Returns the copy rate and whether it exceeds what real images show beyond chance.

    The threshold is an order statistic of M held-out images, so for honest images the number of N below it is
    BetaBinomial(N, r, M − r + 1) with r its rank: the test is exact and counts the threshold's own error in.

    Args:
        generated_distances: (N,) and heldout_distances: (M,), as from ``nearest_distances``.
        clusters: (N,) labels of generated images that belong together. The rate's standard error respects them; the
            test takes every image as independent.

    Raises:
        UserError: distances that are not finite.
    """
    generated_N = finite_vector(generated_distances, "generated distances")
    heldout_M = finite_vector(heldout_distances, "held-out distances")
    n, m = len(generated_N), len(heldout_M)
    if n == 0 or m * quantile < 1:
        few = too_few(0, needed=1) if n == 0 else too_few(m, needed=math.ceil(1 / quantile), what="held-out images")
        return CopyTest(rate=few, threshold=None, p_value=None, beyond_chance=False)
    threshold = copy_threshold(heldout_M, quantile)
    copies_N = generated_N < threshold
    rank = _rank(m, quantile)
    p_value = beta_binomial_tail(int(copies_N.sum()), n, rank, m - rank + 1)
    return CopyTest(
        rate=proportion_estimate(copies_N, clusters),
        threshold=threshold,
        p_value=p_value,
        beyond_chance=p_value < significance,
    )


def _rank(m: int, quantile: float) -> int:
    if m * quantile < 1:
        raise UserError(f"A {quantile:.0%} quantile needs {math.ceil(1 / quantile)} held-out images; there are {m}.")
    return round(m * quantile)
