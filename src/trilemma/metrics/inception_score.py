"""Inception score: exp of the mean divergence between an image's class posterior and the average posterior.

IS = exp(E KL(p(c|x) ‖ p(c))) = exp(H(mean p) − mean H(p)), between 1 and C; higher is better. It knows no reference
and no diversity inside a class: a column for comparison with older work.

Paper: Salimans et al., "Improved techniques for training GANs", arXiv 1606.03498, §4.
Reference implementation: https://github.com/toshas/torch-fidelity/blob/master/torch_fidelity/metric_isc.py
Ours differs in the splits: one by default instead of ten, and a group-jackknife standard error instead of the spread
over splits. With S splits rows are shuffled (seeded), cut into S runs of nearly equal length, and the S scores are
averaged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trilemma.errors import UserError
from trilemma.metrics.arrays import finite_matrix, number_matrix
from trilemma.statistics.estimate import Estimate, too_few
from trilemma.statistics.jackknife import GROUPS, group_labels, jackknife_estimate
from trilemma.statistics.replicates import fingerprint

ROWS_AT_A_TIME = 4096


def joint_probabilities(logits: ArrayLike, sizes: Sequence[int]) -> NDArray[np.float64]:
    """Returns the joint posterior of independent factors, float64 (N, Π sizes), rows summing to 1.

    Args:
        logits: (N, Σ sizes), the factors side by side; the last factor varies fastest in the result.
        sizes: classes of each factor, such as (8, 8, 8).
    """
    logits_NF = finite_matrix(logits, "logits")
    if logits_NF.shape[1] != sum(sizes):
        raise UserError(f"Factors of sizes {tuple(sizes)} need {sum(sizes)} logits; there are {logits_NF.shape[1]}.")
    joint_NC = np.ones((len(logits_NF), 1))
    for factor_NK in np.split(logits_NF, np.cumsum(sizes)[:-1], axis=1):
        joint_NC = (joint_NC[:, :, None] * _softmax(factor_NK)[:, None, :]).reshape(len(logits_NF), -1)
    return joint_NC


def inception_score(
    probabilities: ArrayLike,
    *,
    splits: int = 1,
    groups: int = GROUPS,
    shuffle: bool = True,
    seed: int = 0,
    clusters: ArrayLike | None = None,
) -> Estimate:
    """Returns the Inception score of class posteriors (N, C), rows summing to 1, with its jackknife standard error.

    Args:
        splits: the score is the mean of the scores of as many runs of rows, shuffled by ``seed`` before.
        clusters: (N,) labels, such as the prompt, of images to be left out together.

    Raises:
        UserError: rows that are not probabilities.
    """
    probabilities_NC = _posteriors(probabilities)
    return _estimate(
        lambda rows: probabilities_NC[rows].astype(np.float64),
        probabilities_NC.shape,
        _Cut(splits=splits, groups=groups, shuffle=shuffle, seed=seed),
        clusters,
    )


def inception_score_of_logits(
    logits: ArrayLike,
    *,
    splits: int = 1,
    groups: int = GROUPS,
    shuffle: bool = True,
    seed: int = 0,
    clusters: ArrayLike | None = None,
) -> Estimate:
    """Returns the Inception score of logits (N, C): that of their softmax, formed a few rows at a time."""
    classes = number_matrix(logits, "logits").shape[1]
    return inception_score_of_factors(
        logits, (classes,), splits=splits, groups=groups, shuffle=shuffle, seed=seed, clusters=clusters
    )


def inception_score_of_factors(
    logits: ArrayLike,
    sizes: Sequence[int],
    *,
    splits: int = 1,
    groups: int = GROUPS,
    shuffle: bool = True,
    seed: int = 0,
    clusters: ArrayLike | None = None,
) -> Estimate:
    """Returns the Inception score over the joint classes of independent factors, forming a few rows at a time.

    Args:
        logits: (N, Σ sizes), for Scenes (N, 24) = shape | colour | background with sizes (8, 8, 8): 512 joint
        classes.
    """
    logits_NF = number_matrix(logits, "logits")
    return _estimate(
        lambda rows: joint_probabilities(logits_NF[rows], sizes),
        (len(logits_NF), math.prod(sizes)),
        _Cut(splits=splits, groups=groups, shuffle=shuffle, seed=seed),
        clusters,
    )


@dataclass(frozen=True, kw_only=True)
class _Cut:
    """How rows are cut into splits and jackknife groups."""

    splits: int
    groups: int
    shuffle: bool
    seed: int

    def labels(self, n: int, clusters: ArrayLike | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Returns each row's split (runs of the shuffled order) and group (dealt out inside every split)."""
        rank_N = np.random.default_rng(self.seed).permutation(n) if self.shuffle else np.arange(n)
        starts_S = np.array([index * n // self.splits for index in range(self.splits)])
        split_N = np.searchsorted(starts_S, rank_N, side="right") - 1
        if clusters is not None:
            return split_N.astype(np.int64), group_labels(n, self.groups, clusters=clusters, seed=self.seed)
        return split_N.astype(np.int64), ((rank_N - starts_S[split_N]) % self.groups).astype(np.int64)


def _estimate(
    posteriors: Callable[[slice], NDArray[np.float64]], shape: tuple[int, ...], cut: _Cut, clusters: ArrayLike | None
) -> Estimate:
    n, needed = shape[0], 2 * cut.groups * cut.splits
    if n < needed:
        return too_few(n, needed=needed)
    if clusters is not None and (units := len(np.unique(np.asarray(clusters)))) < needed:
        return too_few(units, needed=needed, what="clusters")
    split_N, group_N = cut.labels(n, clusters)
    sums = _Sums(cut.splits, cut.groups, shape[1])
    for start in range(0, n, ROWS_AT_A_TIME):
        rows = slice(start, start + ROWS_AT_A_TIME)
        sums.add(posteriors(rows), split_N[rows], group_N[rows])
    return sums.estimate(n, clustered=clusters is not None, cut=fingerprint(group_N))


class _Sums:
    """Count, summed posterior and summed Σ p log p of each (split, group): all that the score needs."""

    def __init__(self, splits: int, groups: int, classes: int) -> None:
        self.count_SG = np.zeros((splits, groups))
        self.negative_entropy_SG = np.zeros((splits, groups))
        self.posterior_SGC = np.zeros((splits, groups, classes))

    def add(
        self, probabilities_BC: NDArray[np.float64], split_B: NDArray[np.int64], group_B: NDArray[np.int64]
    ) -> None:
        splits, groups, classes = self.posterior_SGC.shape
        member_KB = (np.arange(splits * groups)[:, None] == split_B * groups + group_B).astype(np.float64)
        self.count_SG += member_KB.sum(axis=1).reshape(splits, groups)
        self.negative_entropy_SG += (member_KB @ _p_log_p(probabilities_BC).sum(axis=1)).reshape(splits, groups)
        self.posterior_SGC += (member_KB @ probabilities_BC).reshape(splits, groups, classes)

    def estimate(self, n: int, *, clustered: bool, cut: str) -> Estimate:
        count_S = self.count_SG.sum(axis=1)
        entropy_S = self.negative_entropy_SG.sum(axis=1)
        posterior_SC = self.posterior_SGC.sum(axis=1)
        groups = zip(self.count_SG.T, self.negative_entropy_SG.T, self.posterior_SGC.swapaxes(0, 1), strict=True)
        left_out = [
            _score(count_S - count, entropy_S - entropy, posterior_SC - posterior)
            for count, entropy, posterior in groups
        ]
        return jackknife_estimate(_score(count_S, entropy_S, posterior_SC), left_out, n, clustered=clustered, cut=cut)


def _score(count_S: NDArray[np.float64], entropy_S: NDArray[np.float64], posterior_SC: NDArray[np.float64]) -> float:
    # Differences of sums can end a rounding error below 0.
    marginal_SC = (posterior_SC / count_S[:, None]).clip(min=0)
    divergence_S = entropy_S / count_S - _p_log_p(marginal_SC).sum(axis=1)
    return float(np.exp(divergence_S).mean())


def _posteriors(probabilities: ArrayLike) -> NDArray[Any]:
    probabilities_NC = number_matrix(probabilities, "probabilities")
    if (probabilities_NC < 0).any() or not np.allclose(probabilities_NC.sum(axis=1), 1, atol=1e-4):
        raise UserError("Class posteriors must be 0 or more and sum to 1 in every row.")
    return probabilities_NC


def _softmax(logits_NK: NDArray[np.float64]) -> NDArray[np.float64]:
    weights_NK: NDArray[np.float64] = np.exp(logits_NK - logits_NK.max(axis=1, keepdims=True))
    posteriors_NK: NDArray[np.float64] = weights_NK / weights_NK.sum(axis=1, keepdims=True)
    return posteriors_NK


def _p_log_p(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns p log p with 0 log 0 = 0."""
    return p * np.log(np.where(p > 0, p, 1.0))
