"""CMMD: the squared maximum mean discrepancy of CLIP embeddings under a wide Gaussian kernel, times 1,000.

k(x, y) = exp(−|x − y|²/2σ²) with σ = 10 on embeddings of length 1. The released code averages whole kernel matrices,
the equal pairs among them: the V-statistic, biased by about (1 − mean k)(1/N + 1/M). The paper's estimator leaves the
equal pairs out and may be below 0. Lower is better.

Paper: Jayasumana et al., "Rethinking FID: towards a better evaluation metric for image generation", arXiv
2401.09603, §4.
Reference implementation: https://github.com/google-research/google-research/tree/master/cmmd (the V-statistic).
Ours differs in numerics: every kernel value lies within 2 % of 1 and the ones cancel, so k − 1 is summed, in float64,
block by block; and in the standard error, from leaving out each of 20 groups of images on both sides.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trilemma.metrics.arrays import members, number_matrix, require_same_width, unit_rows
from trilemma.metrics.lower_bounds import slices
from trilemma.statistics.estimate import Estimate, missing, too_few
from trilemma.statistics.jackknife import GROUPS, group_labels, jackknife_estimate
from trilemma.statistics.replicates import fingerprint

SIGMA = 10.0
SCALE = 1000.0
BLOCK = 2048


def cmmd(
    generated: ArrayLike,
    reference: ArrayLike,
    clusters: ArrayLike | None = None,
    *,
    unbiased: bool = False,
    groups: int = GROUPS,
) -> Estimate:
    """Returns CMMD of embeddings (N, D) and (M, D), which are scaled to length 1, with its jackknife error.

    Args:
        clusters: (N,) labels, such as the prompt, of generated images to be left out together.
        unbiased: leaves equal pairs out, as in the paper; else the V-statistic, as in the released code.

    Raises:
        UserError: embeddings that are not finite, are zero, or differ in width.
    """
    generated_ND, reference_MD = number_matrix(generated, "generated embeddings"), number_matrix(reference, "reference")
    require_same_width(generated_ND, reference_MD)
    n, m, needed = len(generated_ND), len(reference_MD), 2 * groups
    if n < needed:
        return too_few(n, needed=needed)
    if m < needed:
        return missing(f"needs at least {needed} reference samples; there are {m}", n=n)
    own_N = group_labels(n, groups, clusters=clusters)
    if len(np.unique(own_N)) < groups:
        return too_few(len(np.unique(np.asarray(clusters))), needed=groups, what="clusters")
    sums = _Sums(
        unit_rows(generated_ND, "generated embeddings"),
        unit_rows(reference_MD, "reference embeddings"),
        own_N,
        group_labels(m, groups, seed=1),
        unbiased,
    )
    left_out = [sums.discrepancy(np.arange(groups) != group) for group in range(groups)]
    whole = sums.discrepancy(np.ones(groups, dtype=np.bool_))
    return jackknife_estimate(whole, left_out, n, clustered=clusters is not None, cut=fingerprint(own_N))


class _Sums:
    """Sums of k − 1 between all groups of both sides: enough for the discrepancy without any of them."""

    def __init__(
        self,
        own_ND: NDArray[np.float64],
        real_MD: NDArray[np.float64],
        own_N: NDArray[np.int64],
        real_M: NDArray[np.int64],
        unbiased: bool,
    ) -> None:
        self.own_GG = _group_sums(own_ND, own_ND, own_N, own_N)
        self.real_GG = _group_sums(real_MD, real_MD, real_M, real_M)
        self.cross_GG = _group_sums(own_ND, real_MD, own_N, real_M)
        self.own_G, self.real_G = np.bincount(own_N), np.bincount(real_M)
        self.unbiased = unbiased

    def discrepancy(self, keep_G: NDArray[np.bool_]) -> float:
        """Returns 1,000 · MMD² of the groups that are kept."""
        n, m = int(self.own_G[keep_G].sum()), int(self.real_G[keep_G].sum())
        own, real, cross = (sums_GG[np.ix_(keep_G, keep_G)].sum() for sums_GG in self._matrices())
        # k − 1 of an image with itself is 0: only the divisor knows whether such pairs count.
        pairs_n, pairs_m = (n * (n - 1), m * (m - 1)) if self.unbiased else (n * n, m * m)
        return float(SCALE * (own / pairs_n + real / pairs_m - 2 * cross / (n * m)))

    def _matrices(self) -> tuple[NDArray[np.float64], ...]:
        return self.own_GG, self.real_GG, self.cross_GG


def _group_sums(
    x_ND: NDArray[np.float64], y_MD: NDArray[np.float64], x_N: NDArray[np.int64], y_M: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Returns the sum of k(x, y) − 1 over the pairs of each two groups, float64 (G, G), one block at a time."""
    groups = int(max(x_N.max(), y_M.max())) + 1
    sums_GG = np.zeros((groups, groups))
    for rows in slices(0, len(x_ND), BLOCK):
        sums_GM = np.empty((groups, len(y_MD)))
        for columns in slices(0, len(y_MD), BLOCK):
            kernel_BC = _kernel_less_one(x_ND[rows] @ y_MD[columns].T)
            sums_GM[:, columns] = members(x_N[rows], groups) @ kernel_BC
        sums_GG += sums_GM @ members(y_M, groups).T
    return sums_GG


def _kernel_less_one(cosines_BC: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns k − 1 for unit vectors, whose squared distance is 2 − 2 cos; overwrites the cosines."""
    np.minimum(cosines_BC, 1, out=cosines_BC)
    cosines_BC -= 1
    cosines_BC /= SIGMA * SIGMA
    np.expm1(cosines_BC, out=cosines_BC)
    return cosines_BC
