"""Precision, recall, density and coverage: how two sets of features lie in each other's k-nearest-neighbour balls.

With B(y) the ball around y that reaches its k-th nearest other sample of its own set:

    precision  share of generated x inside some B(real)               higher: fewer bad images
    recall     share of real y inside some B(generated)               higher: less is missed; broad noise has recall 1
    density    mean over generated x of (number of B(real) around)/k  as precision, but may exceed 1
    coverage   share of B(real) that hold some generated x            higher: less is missed

Ours: k = 5; a point on the boundary is inside (<=), so that identical images have precision 1; a sample is not its own
neighbour; both sets have the same size N, for which the first N rows of the reference are taken.

Papers: Kynkäänniemi et al., arXiv 1904.06991, equations 1 and 2; Naeem et al., arXiv 2002.09797, §3.
Reference implementations: https://github.com/clovaai/generative-evaluation-prdc (strict <, the same radii) and
https://github.com/toshas/torch-fidelity/blob/master/torch_fidelity/metric_prc.py (<=, k = 3; it counts the sample
itself and takes the k + 1 nearest: the same radii).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trilemma.errors import UserError
from trilemma.metrics.arrays import finite_matrix, require_same_width
from trilemma.metrics.neighbors import MEMORY_BYTES, distance_blocks, neighbor_radii, self_distance_blocks
from trilemma.statistics.estimate import Estimate, too_few
from trilemma.statistics.jackknife import GROUPS, group_labels, jackknife_estimate
from trilemma.statistics.means import mean_estimate


@dataclass(frozen=True, kw_only=True)
class Prdc:
    """The four numbers of one pair of sets, with group-jackknife standard errors over the generated samples."""

    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate


def prdc(
    generated: ArrayLike,
    real: ArrayLike,
    *,
    k: int = 5,
    strict: bool = False,
    groups: int = GROUPS,
    clusters: ArrayLike | None = None,
    memory_bytes: int = MEMORY_BYTES,
) -> Prdc:
    """Returns the four numbers of generated (N, D) against real (M, D) features, M >= N, the real ones held fixed.

    Args:
        k: the neighbour that a ball reaches.
        strict: a point on the boundary is outside (<), as in the reference implementation.
        clusters: (N,) labels, such as the prompt, of generated samples to be left out together.

    Raises:
        UserError: features that are not finite, differ in width, or fewer real than generated ones.
    """
    generated_ND, real_ND = _equal_sets(generated, real)
    n = len(generated_ND)
    needed = max(2 * groups, 2 * (k + 1))
    if n < needed:
        return _nothing(too_few(n, needed=needed))
    units = n if clusters is None else len(np.unique(np.asarray(clusters)))
    if units < 2 * groups:
        return _nothing(too_few(units, needed=2 * groups, what="clusters"))
    labels_N = group_labels(n, groups, clusters=clusters)
    own_N, own_NG = _radii_without_groups(generated_ND, k, labels_N, memory_bytes)
    sweep = _Sweep(neighbor_radii(real_ND, k, memory_bytes) ** 2, own_N, own_NG, labels_N, strict)
    for rows, squared_BM in distance_blocks(generated_ND, real_ND, memory_bytes):
        sweep.add(rows, squared_BM)
    return sweep.result(k, clustered=clusters is not None)


def coverage_within(
    generated: ArrayLike,
    generated_groups: ArrayLike,
    real: ArrayLike,
    real_groups: ArrayLike,
    *,
    k: int = 5,
    strict: bool = False,
) -> Estimate:
    """Returns coverage inside each group (prompt), averaged; its standard error is over groups.

    Each group of generated samples is compared with the real samples of the same group, as many of each, at least 2k.

    Raises:
        UserError: labels of the wrong length.
    """
    generated_ND, real_MD = finite_matrix(generated, "generated features"), finite_matrix(real, "real features")
    require_same_width(generated_ND, real_MD)
    generated_N, real_M = np.asarray(generated_groups), np.asarray(real_groups)
    if generated_N.shape != (len(generated_ND),) or real_M.shape != (len(real_MD),):
        raise UserError("Each sample needs one group label.")
    values = []
    for group in np.unique(generated_N):
        own_ND, truth_ND = generated_ND[generated_N == group], real_MD[real_M == group]
        n = min(len(own_ND), len(truth_ND))
        if n >= 2 * k:
            values.append(_coverage(own_ND[:n], truth_ND[:n], k, strict))
    if len(values) < 2:
        return too_few(len(values), needed=2, what=f"groups with {2 * k} generated and as many real samples")
    return mean_estimate(values)


def expected_coverage(k: int, n_real: int, n_generated: int) -> float:
    """Returns E[coverage] when both sets come from one distribution: 1 − Π_{j<k} (M − 1 − j)/(M + N − 1 − j)."""
    return 1 - math.prod((n_real - 1 - j) / (n_real + n_generated - 1 - j) for j in range(k))


class _Sweep:
    """Gathers all four numbers, and what they are without each group, from one pass over the distance blocks."""

    def __init__(
        self,
        real_M: NDArray[np.float64],
        own_N: NDArray[np.float64],
        own_NG: NDArray[np.float64],
        labels_N: NDArray[np.int64],
        strict: bool,
    ) -> None:
        groups = own_NG.shape[1]
        self.real_M, self.own_N, self.own_NG, self.labels_N = real_M, own_N, own_NG, labels_N
        self.inside = np.less if strict else np.less_equal
        self.balls_N = np.zeros(len(own_N))
        self.hits_GM = np.zeros((groups, len(real_M)))
        self.recalled_M = np.zeros(len(real_M), dtype=np.bool_)
        self.recalled_GM = np.zeros((groups, len(real_M)), dtype=np.bool_)

    def add(self, rows: slice, squared_BM: NDArray[np.float64]) -> None:
        labels_B = self.labels_N[rows]
        in_real_BM = self.inside(squared_BM, self.real_M)
        self.balls_N[rows] = in_real_BM.sum(axis=1)
        member_GB = labels_B == np.arange(len(self.hits_GM))[:, None]
        self.hits_GM += member_GB.astype(np.float32) @ in_real_BM.astype(np.float32)
        self.recalled_M |= self.inside(squared_BM, self.own_N[rows, None]).any(axis=0)
        for group, recalled_M in enumerate(self.recalled_GM):
            in_own_BM = self.inside(squared_BM, self.own_NG[rows, group, None])
            recalled_M |= in_own_BM.any(axis=0)

    def result(self, k: int, *, clustered: bool) -> Prdc:
        groups, n = len(self.hits_GM), len(self.balls_N)

        def estimate(value: float, left_out: list[float]) -> Estimate:
            return jackknife_estimate(value, left_out, n, clustered=clustered)

        others = [self.labels_N != group for group in range(groups)]
        precise_N, dense_N, hits_M = self.balls_N > 0, self.balls_N / k, self.hits_GM.sum(axis=0)
        return Prdc(
            precision=estimate(float(precise_N.mean()), [float(precise_N[keep].mean()) for keep in others]),
            recall=estimate(float(self.recalled_M.mean()), [float(part_M.mean()) for part_M in self.recalled_GM]),
            density=estimate(float(dense_N.mean()), [float(dense_N[keep].mean()) for keep in others]),
            coverage=estimate(
                float((hits_M > 0).mean()), [float((hits_M - part_M > 0).mean()) for part_M in self.hits_GM]
            ),
        )


def _nothing(reason: Estimate) -> Prdc:
    return Prdc(precision=reason, recall=reason, density=reason, coverage=reason)


def _equal_sets(generated: ArrayLike, real: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    generated_ND, real_MD = finite_matrix(generated, "generated features"), finite_matrix(real, "real features")
    require_same_width(generated_ND, real_MD)
    n = len(generated_ND)
    if len(real_MD) < n:
        raise UserError(
            f"Precision and recall compare sets of equal size: {n} generated samples but {len(real_MD)} real ones.",
            hint="Draw more real samples or fewer generated ones.",
        )
    return generated_ND, real_MD[:n]


def _radii_without_groups(
    features_ND: NDArray[np.float64], k: int, labels_N: NDArray[np.int64], memory_bytes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns squared k-th neighbour radii (N,), and the same with each group left out (N, G).

    A row of group g itself has radius −1 there: a ball that was left out holds nothing.
    """
    counts_G = np.bincount(labels_N)
    radii_N = np.empty(len(labels_N))
    radii_NG = np.empty((len(labels_N), len(counts_G)))
    # Among the nearest k + (largest group) there are always k of other groups.
    reach = min(k + int(counts_G.max()), len(labels_N) - 1)
    for rows, squared_BN in self_distance_blocks(features_ND, memory_bytes):
        closest_BK = np.argpartition(squared_BN, reach - 1, axis=1)[:, :reach]
        squared_BK = np.take_along_axis(squared_BN, closest_BK, axis=1)
        order_BK = squared_BK.argsort(axis=1, kind="stable")
        squared_BK = np.take_along_axis(squared_BK, order_BK, axis=1)
        labels_BK = labels_N[np.take_along_axis(closest_BK, order_BK, axis=1)]
        radii_N[rows] = squared_BK[:, k - 1]
        for group in range(len(counts_G)):
            position_B = ((labels_BK != group).cumsum(axis=1) >= k).argmax(axis=1)
            radii_NG[rows, group] = np.take_along_axis(squared_BK, position_B[:, None], axis=1)[:, 0]
    radii_NG[np.arange(len(labels_N)), labels_N] = -1
    return radii_N, radii_NG


def _coverage(generated_ND: NDArray[np.float64], real_ND: NDArray[np.float64], k: int, strict: bool) -> float:
    radii_M = neighbor_radii(real_ND, k) ** 2
    nearest_M = np.min([squared_BM.min(axis=0) for _, squared_BM in distance_blocks(generated_ND, real_ND)], axis=0)
    covered_M = nearest_M < radii_M if strict else nearest_M <= radii_M
    return float(covered_M.mean())
