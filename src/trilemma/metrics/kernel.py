"""Kernel distance: the squared maximum mean discrepancy under a cubic kernel; KID where the features are Inception's.

k(x, y) = (xᵀy/D + 1)³ and MMD² = mean k(x, x′) + mean k(y, y′) − 2 mean k(x, y), pairs of equal index left out:
unbiased at any N, so it may be below 0. Lower is better.

Paper: Bińkowski et al., "Demystifying MMD GANs", arXiv 1801.01401, §3 and equation 4.
Reference implementation: https://github.com/toshas/torch-fidelity/blob/master/torch_fidelity/metric_kid.py
Ours differs in the resampling: not the spread over overlapping subsets, which is no standard error, but the mean over
disjoint blocks, whose values are independent. There are max(8, N/1000) blocks, 256 images each at N = 2,048; the
reference is cut into as many disjoint blocks, all of it being used. Blocks that share prompts are not independent:
then the standard error is from leaving out whole prompts, in 20 groups, and as many groups of the reference.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trilemma.errors import UserError
from trilemma.metrics.arrays import finite_matrix, members, number_matrix, require_same_width
from trilemma.statistics.estimate import Estimate, estimate_from, missing, too_few
from trilemma.statistics.jackknife import GROUPS, group_labels, jackknife_estimate
from trilemma.statistics.replicates import Replicates, fingerprint

MINIMUM_BLOCKS = 8
LARGEST_BLOCK = 1000
SMALLEST_BLOCK = 8

Blocks = list[tuple[NDArray[np.int64], NDArray[np.int64]]]
"""Of each block, its rows of the generated and of the reference features."""


def mmd2_unbiased(x: ArrayLike, y: ArrayLike) -> float:
    """Returns the unbiased squared MMD of features x (N, D) and y (M, D) under the cubic kernel."""
    x_ND, y_MD = finite_matrix(x, "x"), finite_matrix(y, "y")
    require_same_width(x_ND, y_MD)
    if min(len(x_ND), len(y_MD)) < 2:
        raise UserError(f"The discrepancy needs 2 samples on each side; there are {len(x_ND)} and {len(y_MD)}.")
    return _mean_off_diagonal(x_ND) + _mean_off_diagonal(y_MD) - 2 * float(_cubic(x_ND, y_MD).mean())


def kernel_distance_blocks(generated: ArrayLike, reference: ArrayLike, seed: int = 0) -> NDArray[np.float64]:
    """Returns the squared MMD of each disjoint block, float64 (B,).

    Rows are dealt to blocks by a seeded shuffle: two models with equal N are cut alike, so their blocks are pairs.
    """
    generated_ND = number_matrix(generated, "generated features")
    reference_MD = number_matrix(reference, "reference features")
    return _values(generated_ND, reference_MD, _blocks(len(generated_ND), len(reference_MD), seed))


def kernel_distance(
    generated: ArrayLike, reference: ArrayLike, clusters: ArrayLike | None = None, *, seed: int = 0
) -> Estimate:
    """Returns the mean over blocks with their standard error sd/√B (Student's t at B − 1).

    Args:
        generated: features (N, D). reference: features (M, D); M need not equal N.
        clusters: (N,) labels, such as the prompt, of generated samples that are not independent of one another. They
            change the standard error, which is a jackknife then, and not the value.

    Raises:
        UserError: features that are not finite or differ in width.
    """
    generated_ND = number_matrix(generated, "generated features")
    reference_MD = number_matrix(reference, "reference features")
    require_same_width(generated_ND, reference_MD)
    n, needed = len(generated_ND), MINIMUM_BLOCKS * SMALLEST_BLOCK
    if n < needed:
        return too_few(n, needed=needed)
    if len(reference_MD) < 2 * block_count(n):
        return missing(f"needs at least {2 * block_count(n)} reference samples; there are {len(reference_MD)}", n=n)
    blocks = _blocks(n, len(reference_MD), seed)
    values_B = _values(generated_ND, reference_MD, blocks)
    if clusters is not None:
        return _with_clusters(float(values_B.mean()), generated_ND, reference_MD, blocks, clusters)
    parts = Replicates(kind="parts", values_U=values_B, cut=fingerprint(np.concatenate([own for own, _ in blocks])))
    return estimate_from(float(values_B.mean()), parts, se_method="blocks", n=n)


def block_count(n: int) -> int:
    """Returns the number of blocks that n generated samples are cut into."""
    return max(MINIMUM_BLOCKS, math.ceil(n / LARGEST_BLOCK))


def _blocks(n: int, m: int, seed: int) -> Blocks:
    rng, blocks = np.random.default_rng(seed), block_count(n)
    own_rows, real_rows = (np.array_split(rng.permutation(count), blocks) for count in (n, m))
    return list(zip(own_rows, real_rows, strict=True))


def _values(generated_ND: NDArray[Any], reference_MD: NDArray[Any], blocks: Blocks) -> NDArray[np.float64]:
    return np.array([mmd2_unbiased(generated_ND[own], reference_MD[real]) for own, real in blocks], dtype=np.float64)


def _with_clusters(
    value: float, generated_ND: NDArray[Any], reference_MD: NDArray[Any], blocks: Blocks, clusters: ArrayLike
) -> Estimate:
    n, units = len(generated_ND), len(np.unique(np.asarray(clusters)))
    labels_N, labels_M = group_labels(n, clusters=clusters), group_labels(len(reference_MD), seed=1)
    if units < GROUPS:
        return _without_error(value, n, f"its standard error needs at least {GROUPS} clusters; there are {units}")
    without_BG = [
        _mmd2_without_groups(generated_ND[own], reference_MD[real], labels_N[own], labels_M[real])
        for own, real in blocks
    ]
    left_out_G = np.mean(without_BG, axis=0)
    if not np.isfinite(left_out_G).all():
        return _without_error(value, n, "its standard error needs more samples: one group of clusters fills a block")
    return jackknife_estimate(value, left_out_G, n, clustered=True, cut=fingerprint(labels_N))


def _without_error(value: float, n: int, reason: str) -> Estimate:
    return Estimate(value=value, se=None, se_method="none", n=n, reason=reason)


def _mmd2_without_groups(
    x: NDArray[Any], y: NDArray[Any], labels_N: NDArray[np.int64], labels_M: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Returns the squared MMD without each group of both sides, (G,); not finite where too little is left."""
    x_ND, y_MD = finite_matrix(x, "x"), finite_matrix(y, "y")
    own_GN, real_GM = members(labels_N, GROUPS), members(labels_M, GROUPS)
    n_G, m_G = (part.sum() - part.sum(axis=1) for part in (own_GN, real_GM))
    own_G, real_G, cross_G = (
        _sum_without_groups(left @ kernel @ right.T)
        for left, kernel, right in (
            (own_GN, _off_diagonal(x_ND), own_GN),
            (real_GM, _off_diagonal(y_MD), real_GM),
            (own_GN, _cubic(x_ND, y_MD), real_GM),
        )
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        without_G: NDArray[np.float64] = (
            own_G / (n_G * (n_G - 1)) + real_G / (m_G * (m_G - 1)) - 2 * cross_G / (n_G * m_G)
        )
    return without_G


def _sum_without_groups(sums_GG: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the sum over all pairs of groups without those that hold each group, (G,)."""
    total_G: NDArray[np.float64] = sums_GG.sum() - sums_GG.sum(axis=0) - sums_GG.sum(axis=1) + np.diagonal(sums_GG)
    return total_G


def _cubic(x_ND: NDArray[np.float64], y_MD: NDArray[np.float64]) -> NDArray[np.float64]:
    base_NM: NDArray[np.float64] = x_ND @ y_MD.T / x_ND.shape[1] + 1
    return base_NM * base_NM * base_NM


def _off_diagonal(x_ND: NDArray[np.float64]) -> NDArray[np.float64]:
    kernel_NN = _cubic(x_ND, x_ND)
    np.fill_diagonal(kernel_NN, 0)
    return kernel_NN


def _mean_off_diagonal(x_ND: NDArray[np.float64]) -> float:
    n = len(x_ND)
    return float(_off_diagonal(x_ND).sum() / (n * (n - 1)))
