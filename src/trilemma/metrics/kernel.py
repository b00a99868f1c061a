"""Kernel distance: the squared maximum mean discrepancy under a cubic kernel; KID where the features are Inception's.

k(x, y) = (xᵀy/D + 1)³ and MMD² = mean k(x, x′) + mean k(y, y′) − 2 mean k(x, y), pairs of equal index left out:
unbiased at any N, so it may be below 0. Lower is better.

Paper: Bińkowski et al., "Demystifying MMD GANs", arXiv 1801.01401, §3 and equation 4.
Reference implementation: https://github.com/toshas/torch-fidelity/blob/master/torch_fidelity/metric_kid.py
Ours differs in the resampling: not the spread over overlapping subsets, which is no standard error, but the mean over
disjoint blocks, whose values are independent. There are max(8, N/1000) blocks, 256 images each at N = 2,048; the
reference is cut into as many disjoint blocks, all of it being used.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trilemma.errors import UserError
from trilemma.metrics.arrays import finite_matrix, number_matrix, require_same_width
from trilemma.statistics.estimate import Estimate, missing, too_few

MINIMUM_BLOCKS = 8
LARGEST_BLOCK = 1000
SMALLEST_BLOCK = 8


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
    blocks = block_count(len(generated_ND))
    rng = np.random.default_rng(seed)
    own_rows, real_rows = (np.array_split(rng.permutation(len(x)), blocks) for x in (generated_ND, reference_MD))
    parts = zip(own_rows, real_rows, strict=True)
    return np.array([mmd2_unbiased(generated_ND[own], reference_MD[real]) for own, real in parts], dtype=np.float64)


def kernel_distance(generated: ArrayLike, reference: ArrayLike, seed: int = 0) -> Estimate:
    """Returns the mean over blocks with their standard error sd/√B (Student's t at B − 1).

    Args:
        generated: features (N, D). reference: features (M, D); M need not equal N.

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
    values_B = kernel_distance_blocks(generated_ND, reference_MD, seed)
    se = float(values_B.std(ddof=1)) / math.sqrt(len(values_B))
    return Estimate(value=float(values_B.mean()), se=se, se_method="blocks", n=n, degrees_of_freedom=len(values_B) - 1)


def block_count(n: int) -> int:
    """Returns the number of blocks that n generated samples are cut into."""
    return max(MINIMUM_BLOCKS, math.ceil(n / LARGEST_BLOCK))


def _cubic(x_ND: NDArray[np.float64], y_MD: NDArray[np.float64]) -> NDArray[np.float64]:
    base_NM: NDArray[np.float64] = x_ND @ y_MD.T / x_ND.shape[1] + 1
    return base_NM * base_NM * base_NM


def _mean_off_diagonal(x_ND: NDArray[np.float64]) -> float:
    kernel_NN = _cubic(x_ND, x_ND)
    n = len(kernel_NN)
    return float((kernel_NN.sum() - np.trace(kernel_NN)) / (n * (n - 1)))
