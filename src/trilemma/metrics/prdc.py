"""Precision, recall, density and coverage: how two sets of features lie in each other's k-nearest-neighbour balls.

With B(y) the ball around y that reaches its k-th nearest other sample of its own set:

    precision  share of generated x inside some B(real)               higher: fewer bad images
    recall     share of real y inside some B(generated)               higher: less is missed; broad noise has recall 1
    density    mean over generated x of (number of B(real) around)/k  as precision, but may exceed 1
    coverage   share of B(real) that hold some generated x            higher: less is missed

Ours: k = 5; a point on the boundary is inside (<=), so that identical images have precision 1; a sample is not its own
neighbour; both sets have the same size N, for which the first N rows of the reference are taken. Every k and both
conventions come from one sweep: only pairs of which one lies in the other's largest ball are looked at.

Papers: Kynkäänniemi et al., arXiv 1904.06991, equations 1 and 2; Naeem et al., arXiv 2002.09797, §3.
Reference implementations: https://github.com/clovaai/generative-evaluation-prdc (strict <, the same radii) and
https://github.com/toshas/torch-fidelity/blob/master/torch_fidelity/metric_prc.py (<=, k = 3; it counts the sample
itself and takes the k + 1 nearest: the same radii).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trilemma.errors import UserError
from trilemma.metrics.arrays import number_matrix, require_same_width
from trilemma.metrics.lower_bounds import Tile
from trilemma.metrics.neighbors import (
    SPARE,
    TILE,
    Neighbors,
    Reading,
    close_pairs,
    nearest,
    neighbor_radii,
    read_neighbors,
    squared_radii,
)
from trilemma.statistics.estimate import Estimate, too_few
from trilemma.statistics.jackknife import GROUPS, group_labels, jackknife_estimate
from trilemma.statistics.means import mean_estimate
from trilemma.statistics.replicates import fingerprint

NAMES = ("precision", "recall", "density", "coverage")
CONVENTIONS = (False, True)


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
    equal_sizes: bool = True,
    tile: Tile = TILE,
) -> Prdc:
    """Returns the four numbers for one k and one convention: see :func:`prdc_sweep`."""
    found = prdc_sweep(generated, real, ks=(k,), groups=groups, clusters=clusters, equal_sizes=equal_sizes, tile=tile)
    return found[k, strict]


def prdc_sweep(
    generated: ArrayLike,
    real: ArrayLike,
    *,
    ks: tuple[int, ...] = (3, 5),
    groups: int = GROUPS,
    clusters: ArrayLike | None = None,
    equal_sizes: bool = True,
    tile: Tile = TILE,
) -> dict[tuple[int, bool], Prdc]:
    """Returns the four numbers of generated (N, D) against real (M, D) features, the real ones held fixed.

    Args:
        ks: the neighbours that a ball reaches.
        clusters: (N,) labels, such as the prompt, of generated samples to be left out together.
        equal_sizes: takes the first N real rows; False compares sets of unlike size as they are, as ADM does.

    Returns:
        the numbers by (k, strict), where strict means that a point on the boundary is outside (<).

    Raises:
        UserError: features that are not finite, differ in width, or fewer real than generated ones.
    """
    generated_ND, real_MD = _sets(generated, real, equal_sizes)
    n = len(generated_ND)
    lacking = _too_few(n, max(ks), groups, clusters)
    if lacking is not None:
        return {(k, strict): _nothing(lacking) for k in ks for strict in CONVENTIONS}
    labels_N = group_labels(n, groups, clusters=clusters)
    real_MK = squared_radii(real_MD, ks, tile)
    own_NKG = _radii_without_groups(generated_ND, ks, labels_N, tile, spare=SPARE + _largest(clusters))
    tallies = {
        (k, strict): _Tally(real_MK[:, i], own_NKG[:, i], labels_N, strict)
        for i, k in enumerate(ks)
        for strict in CONVENTIONS
    }
    own_N2, real_M2 = _extremes(own_NKG.reshape(n, -1)), _extremes(real_MK)
    for pairs in close_pairs(generated_ND, real_MD, own_N2, real_M2, tile):
        for tally in tallies.values():
            tally.add(*pairs)
    return {key: tally.result(key[0], clustered=clusters is not None) for key, tally in tallies.items()}


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
    return _mean_within(_coverage, generated, generated_groups, real, real_groups, k, strict)


def precision_within(
    generated: ArrayLike,
    generated_groups: ArrayLike,
    real: ArrayLike,
    real_groups: ArrayLike,
    *,
    k: int = 5,
    strict: bool = False,
) -> Estimate:
    """Returns precision inside each group (prompt), averaged, as :func:`coverage_within` does coverage.

    An image of another prompt than was asked for lies among real images, but not among those of its group.
    """
    return _mean_within(_precision, generated, generated_groups, real, real_groups, k, strict)


def expected_coverage(k: int, n_real: int, n_generated: int) -> float:
    """Returns E[coverage] when both sets come from one distribution: 1 − Π_{j<k} (M − 1 − j)/(M + N − 1 − j)."""
    return 1 - math.prod((n_real - 1 - j) / (n_real + n_generated - 1 - j) for j in range(k))


class _Tally:
    """Counts, for one k and one convention, what lies in which ball, by the jackknife group of the generated sample."""

    def __init__(
        self, real_M: NDArray[np.float64], own_NG: NDArray[np.float64], labels_N: NDArray[np.int64], strict: bool
    ) -> None:
        """Takes squared radii: real (M,), and generated (N, 1 + G) with none and with each group left out."""
        self.real_M, self.own_N, self.without_NG, self.labels_N = real_M, own_NG[:, 0], own_NG[:, 1:], labels_N
        self.inside = np.less if strict else np.less_equal
        shape = (self.without_NG.shape[1], len(real_M))
        self.around_N = np.zeros(len(labels_N), dtype=np.int64)
        self.held_GM = np.zeros(shape, dtype=np.int32)
        self.recalled_GM = np.zeros(shape, dtype=np.int32)
        self.regained_GM = np.zeros(shape, dtype=np.bool_)

    def add(self, x_P: NDArray[np.int64], y_P: NDArray[np.int64], squared_P: NDArray[np.float64]) -> None:
        in_real_P = self.inside(squared_P, self.real_M[y_P])
        in_own_P = self.inside(squared_P, self.own_N[x_P])
        self.around_N += np.bincount(x_P[in_real_P], minlength=len(self.around_N))
        self._count(self.held_GM, x_P[in_real_P], y_P[in_real_P])
        self._count(self.recalled_GM, x_P[in_own_P], y_P[in_own_P])
        self._regain(x_P[~in_own_P], y_P[~in_own_P], squared_P[~in_own_P])

    def _count(self, counts_GM: NDArray[np.int32], x_P: NDArray[np.int64], y_P: NDArray[np.int64]) -> None:
        np.add.at(counts_GM.reshape(-1), self.labels_N[x_P] * counts_GM.shape[1] + y_P, 1)

    def _regain(self, x_P: NDArray[np.int64], y_P: NDArray[np.int64], squared_P: NDArray[np.float64]) -> None:
        """Notes what enters a generated ball as it grows when one of the other groups is left out."""
        for group, regained_M in enumerate(self.regained_GM):
            regained_M[y_P[self.inside(squared_P, self.without_NG[x_P, group])]] = True

    def result(self, k: int, *, clustered: bool) -> Prdc:
        others_GM = (counts_GM.sum(axis=0) - counts_GM for counts_GM in (self.recalled_GM, self.held_GM))
        recalled_GM, covered_GM = (left_GM > 0 for left_GM in others_GM)
        left_out = {
            "precision": self._means_without(self.around_N > 0),
            "recall": (recalled_GM | self.regained_GM).mean(axis=1),
            "density": self._means_without(self.around_N / k),
            "coverage": covered_GM.mean(axis=1),
        }
        values = {
            "precision": (self.around_N > 0).mean(),
            "recall": self.recalled_GM.any(axis=0).mean(),
            "density": self.around_N.mean() / k,
            "coverage": self.held_GM.any(axis=0).mean(),
        }
        n, cut = len(self.around_N), fingerprint(self.labels_N)
        found = {
            name: jackknife_estimate(float(values[name]), left_out[name], n, clustered=clustered, cut=cut)
            for name in NAMES
        }
        return Prdc(**found)

    def _means_without(self, values_N: NDArray[Any]) -> NDArray[np.float64]:
        """Returns the mean of the samples outside each group, (G,)."""
        groups = len(self.held_GM)
        sums_G = np.bincount(self.labels_N, weights=values_N, minlength=groups)
        counts_G = np.bincount(self.labels_N, minlength=groups)
        means_G: NDArray[np.float64] = (sums_G.sum() - sums_G) / (counts_G.sum() - counts_G)
        return means_G


def _nothing(reason: Estimate) -> Prdc:
    return Prdc(precision=reason, recall=reason, density=reason, coverage=reason)


def _too_few(n: int, k: int, groups: int, clusters: ArrayLike | None) -> Estimate | None:
    needed = max(2 * groups, 2 * (k + 1))
    if n < needed:
        return too_few(n, needed=needed)
    units = n if clusters is None else len(np.unique(np.asarray(clusters)))
    return too_few(units, needed=needed, what="clusters") if units < needed else None


def _sets(generated: ArrayLike, real: ArrayLike, equal_sizes: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    generated_ND, real_MD = number_matrix(generated, "generated features"), number_matrix(real, "real features")
    require_same_width(generated_ND, real_MD)
    if not equal_sizes:
        return generated_ND, real_MD
    n = len(generated_ND)
    if len(real_MD) < n:
        raise UserError(
            f"Precision and recall compare sets of equal size: {n} generated samples but {len(real_MD)} real ones.",
            hint="Draw more real samples or fewer generated ones.",
        )
    return generated_ND, real_MD[:n]


def _largest(clusters: ArrayLike | None) -> int:
    """Returns the size of the largest cluster: samples that may well be neighbours and are left out together."""
    return 1 if clusters is None else int(np.unique(np.asarray(clusters), return_counts=True)[1].max())


def _extremes(radii_NR: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the smallest and the largest radius of each row, (N, 2), apart from balls that were left out."""
    smallest_N = np.where(radii_NR < 0, np.inf, radii_NR).min(axis=1)
    return np.stack([smallest_N, radii_NR.max(axis=1)], axis=1)


def _radii_without_groups(
    features_ND: NDArray[Any], ks: tuple[int, ...], labels_N: NDArray[np.int64], tile: Tile, spare: int
) -> NDArray[np.float64]:
    """Returns squared k-th neighbour radii, float64 (N, K, 1 + G): of all samples, and with each group left out.

    A row of group g itself has radius −∞ there: a ball that was left out holds nothing.
    """
    groups = int(labels_N.max()) + 1

    def read(neighbors: Neighbors) -> Reading:
        labels_BR = labels_N[neighbors.rows_NK]
        certain_B = neighbors.certain_N
        radii_BKG = np.empty((len(certain_B), len(ks), 1 + groups))
        settled_B = np.ones(len(certain_B), dtype=np.bool_)
        for column in range(1 + groups):
            rank_BR = (labels_BR != column - 1).cumsum(axis=1)
            for i, k in enumerate(ks):
                at_B = (rank_BR < k).sum(axis=1)
                settled_B &= at_B < certain_B
                at_B1 = np.minimum(at_B, rank_BR.shape[1] - 1)[:, None]
                radii_BKG[:, i, column] = np.take_along_axis(neighbors.squared_NK, at_B1, axis=1)[:, 0]
        own_B = labels_N[neighbors.points_N]
        radii_BKG[np.arange(len(own_B)), :, 1 + own_B] = -np.inf
        return radii_BKG.reshape(len(own_B), -1), settled_B

    radii_NV = read_neighbors(features_ND, max(ks) + spare, read, tile)
    return radii_NV.reshape(len(features_ND), len(ks), 1 + groups)


def _mean_within(
    measure: Callable[[NDArray[Any], NDArray[Any], int, bool], float],
    generated: ArrayLike,
    generated_groups: ArrayLike,
    real: ArrayLike,
    real_groups: ArrayLike,
    k: int,
    strict: bool,
) -> Estimate:
    generated_ND, real_MD = number_matrix(generated, "generated features"), number_matrix(real, "real features")
    require_same_width(generated_ND, real_MD)
    generated_N, real_M = np.asarray(generated_groups), np.asarray(real_groups)
    if generated_N.shape != (len(generated_ND),) or real_M.shape != (len(real_MD),):
        raise UserError("Each sample needs one group label.")
    values = {}
    for group in np.unique(generated_N):
        own_ND, truth_ND = generated_ND[generated_N == group], real_MD[real_M == group]
        n = min(len(own_ND), len(truth_ND))
        if n >= 2 * k:
            values[group] = measure(own_ND[:n], truth_ND[:n], k, strict)
    if len(values) < 2:
        return too_few(len(values), needed=2, what=f"groups with {2 * k} generated and as many real samples")
    return mean_estimate(list(values.values()), names=list(values))


def _coverage(generated_ND: NDArray[Any], real_ND: NDArray[Any], k: int, strict: bool) -> float:
    radii_M = neighbor_radii(real_ND, k)
    distances_M, _ = nearest(real_ND, generated_ND)
    covered_M = distances_M < radii_M if strict else distances_M <= radii_M
    return float(covered_M.mean())


def _precision(generated_ND: NDArray[Any], real_ND: NDArray[Any], k: int, strict: bool) -> float:
    """For few samples: all distances at once."""
    gaps_NMD = generated_ND.astype(np.float64)[:, None] - real_ND.astype(np.float64)[None]
    distances_NM, radii_M = np.sqrt(np.sum(gaps_NMD**2, axis=2)), neighbor_radii(real_ND, k)
    inside_NM = distances_NM < radii_M if strict else distances_NM <= radii_M
    return float(np.any(inside_NM, axis=1).mean())
