"""FD∞: the Fréchet distance with its bias in the number of generated images taken out.

The expectation of FD at N images is FD∞ + c/N, with a c that depends on the model: models are ranked wrongly at equal
N. The images are cut, by a seed, into 1, 2 and 4 disjoint parts; the mean distance of the parts is fitted by a line in
1/N, and FD∞ is its value at 0. The bias of the reference, which is fixed, stays.

Paper: Chong and Forsyth, "Effectively unbiased FID and Inception score", arXiv 1911.07023, §3.
Reference implementation: https://github.com/mchong6/FID_IS_infinity (15 overlapping random subsets, no error).
Ours differs in the parts: each line point uses every image once, so that to first order the intercept has the influence
function, and so the standard error, of FD at the full N; random subsets of the same images scatter by about 30 % more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import reduce

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trilemma.metrics.arrays import number_matrix, require_same_width
from trilemma.metrics.covariance_roots import factored
from trilemma.metrics.frechet import distance_between_moments, frechet_distance
from trilemma.metrics.moments import Gaussian, Moments, moments
from trilemma.statistics.estimate import Estimate, too_few
from trilemma.statistics.jackknife import group_labels

CUTS = (1, 2, 4)
SAMPLES_PER_DIMENSION = 2
"""A part with fewer samples than this times D is left out: there the bias is no longer linear in 1/N."""


def frechet_infinity(
    generated: ArrayLike, reference: Gaussian, clusters: ArrayLike | None = None, *, seed: int = 0
) -> Estimate:
    """Returns FD∞ of features (N, D), N >= 4D, with its standard error (see ``frechet_distance``).

    Args:
        clusters: (N,) labels, such as the prompt, of samples that stay in one part.

    Raises:
        UserError: features that are not finite or not as wide as the reference's.
    """
    generated_ND = number_matrix(generated, "generated features")
    require_same_width(generated_ND, reference.mean_D[None])
    n, width = generated_ND.shape
    cuts = [cut for cut in CUTS if n >= cut * SAMPLES_PER_DIMENSION * width]
    if len(cuts) < 2:
        return too_few(n, needed=CUTS[1] * SAMPLES_PER_DIMENSION * width)
    units = n if clusters is None else len(np.unique(np.asarray(clusters)))
    if units < cuts[-1]:
        return too_few(units, needed=cuts[-1], what="clusters")
    reference = factored(reference)
    whole = frechet_distance(generated_ND, reference, clusters)
    if whole.value is None:
        return whole
    finest = [moments(part) for part in _parts(generated_ND, cuts[-1], clusters, seed)]
    means = [whole.value, *(_mean_distance(finest, reference, cut) for cut in cuts[1:])]
    # Free of bias, it may lie at 0 or below: no place for a log scale.
    return replace(whole, value=float(intercept_weights(cuts) @ means), scale="linear")


def intercept_weights(cuts: list[int]) -> NDArray[np.float64]:
    """Returns the weights of the points at 1/N proportional to ``cuts`` in the intercept of their least-squares line.

    They sum to 1 and are orthogonal to ``cuts``.
    """
    design_C2 = np.stack([np.ones(len(cuts)), np.asarray(cuts, dtype=np.float64)], axis=1)
    weights_C: NDArray[np.float64] = np.linalg.pinv(design_C2)[0]
    return weights_C


def _mean_distance(finest: list[Moments], reference: Gaussian, cut: int) -> float:
    """Returns the mean distance of the parts of a cut: every part is a union of those of the finest one."""
    parts = (reduce(Moments.merge, finest[first::cut]) for first in range(cut))
    return float(np.mean([distance_between_moments(part, reference) for part in parts]))


def _parts(
    features_ND: NDArray[np.generic], cut: int, clusters: ArrayLike | None, seed: int
) -> Iterator[NDArray[np.generic]]:
    labels_N = group_labels(len(features_ND), cut, clusters=clusters, seed=seed)
    for label in range(cut):
        yield features_ND[labels_N == label]
