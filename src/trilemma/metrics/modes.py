"""Modes: which of the data's known modes a model draws without a prompt, and how evenly.

The truth is uniform over K modes. One more bin takes the images off the manifold: those whose residual exceeds the 99th
percentile of real images', so that real images themselves fill it to 1 %.

    covered    number of the K modes with at least one image on the manifold
    TV         ½ (Σ |p_m − 1/K| + p_off), from 0 to 1
    KL         Σ p_m log(K p_m) in nats, p over the images on the manifold alone (off it the truth has no mass)
    M          1 − (TV − TV_real)/(1 − TV_real): 1 for real images at the same N, 0 where nothing overlaps the truth

Plug-in TV and KL grow as N falls: read them beside what real images show at the same N.

Papers: the mode test of StackedMNIST, Metz et al., "Unrolled generative adversarial networks", arXiv 1611.02163, with
KL as in Lin et al., "PacGAN", arXiv 1712.04086. The score takes TV because it is bounded. There is no reference
implementation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trilemma.errors import UserError
from trilemma.statistics.distributions import binomial_probabilities
from trilemma.statistics.estimate import Estimate, missing, too_few
from trilemma.statistics.jackknife import GROUPS, group_labels, jackknife_estimate
from trilemma.statistics.means import finite_vector
from trilemma.statistics.replicates import fingerprint

MODES = 512
OFF_QUANTILE = 0.99


@dataclass(frozen=True, kw_only=True)
class ModeCounts:
    """Images in each mode and off the manifold, by jackknife group: int64 (G, K + 1), the last column off.

    ``cut`` is the fingerprint of the groups.
    """

    counts_GB: NDArray[np.int64]
    cut: str = ""

    @property
    def n(self) -> int:
        """The number of images."""
        return int(self.counts_GB.sum())


def residual_threshold(real_residuals: ArrayLike) -> float:
    """Returns the 99th percentile of real images' residuals (M,): above it an image is off the manifold."""
    return float(np.quantile(finite_vector(real_residuals, "real residuals"), OFF_QUANTILE))


def count_modes(
    modes: ArrayLike,
    off_manifold: ArrayLike,
    *,
    n_modes: int = MODES,
    groups: int = GROUPS,
    labels_N: NDArray[np.int64] | None = None,
) -> ModeCounts:
    """Counts images by mode.

    Args:
        modes: (N,) integers in [0, n_modes). off_manifold: (N,) bool, which take the last bin whatever their mode.
        labels_N: each image's group in [0, groups), where it is not dealt as every jackknife deals it.

    Raises:
        UserError: a mode out of range, or vectors of unequal length.
    """
    modes_N, off_N = np.asarray(modes, dtype=np.int64), np.asarray(off_manifold, dtype=np.bool_)
    if modes_N.ndim != 1 or modes_N.shape != off_N.shape:
        raise UserError(f"Each image needs a mode and a flag; the shapes are {modes_N.shape} and {off_N.shape}.")
    if len(modes_N) and not 0 <= modes_N.min() <= modes_N.max() < n_modes:
        raise UserError(f"Modes lie in [0, {n_modes}); these span {modes_N.min()} to {modes_N.max()}.")
    counts_GB = np.zeros((groups, n_modes + 1), dtype=np.int64)
    labels_N = group_labels(len(modes_N), groups) if labels_N is None else labels_N
    np.add.at(counts_GB, (labels_N, np.where(off_N, n_modes, modes_N)), 1)
    return ModeCounts(counts_GB=counts_GB, cut=fingerprint(labels_N))


def modes_covered(counts: ModeCounts) -> Estimate:
    """Returns the number of modes with at least one image on the manifold."""
    return _jackknife(counts, lambda counts_B: float((counts_B[:-1] > 0).sum()))


def mode_tv(counts: ModeCounts) -> Estimate:
    """Returns the total variation between the images' bins and the truth."""
    return _jackknife(counts, total_variation)


def mode_kl(counts: ModeCounts) -> Estimate:
    """Returns the divergence of the images on the manifold from uniform, in nats; without any there is no value."""
    on_G = counts.counts_GB[:, :-1].sum(axis=1)
    if counts.n and (on_G.sum() - on_G).min() == 0:
        return missing("too few images lie on the manifold", n=counts.n)
    return _jackknife(counts, _divergence)


def total_variation(counts_B: NDArray[np.int64]) -> float:
    """Returns the total variation of counts (K + 1,), the last bin being off the manifold, from the truth."""
    shares_B = counts_B / counts_B.sum()
    return 0.5 * float(np.abs(shares_B[:-1] - 1 / (len(counts_B) - 1)).sum() + shares_B[-1])


def expected_tv(n: int, *, n_modes: int = MODES, off_rate: float = 1 - OFF_QUANTILE) -> float:
    """Returns TV_real, the exact expected total variation of n real images of which ``off_rate`` fall in the last bin.

    Every mode's count is Binomial(n, (1 − off_rate)/K), so E TV = ½ (K · E|X/n − 1/K| + off_rate).
    """
    if n < 1:
        raise UserError(f"The expected total variation needs at least 1 image; n is {n}.")
    probabilities = binomial_probabilities(n, (1 - off_rate) / n_modes)
    deviation = float(probabilities @ np.abs(np.arange(n + 1) / n - 1 / n_modes))
    return 0.5 * (n_modes * deviation + off_rate)


def mode_score(tv: Estimate, tv_real: float) -> Estimate:
    """Returns M = 1 − (TV − TV_real)/(1 − TV_real) with the standard error of TV carried over; not clipped."""
    if tv.value is None:
        return tv
    scale = 1 / (1 - tv_real)
    return replace(
        tv,
        value=1 - (tv.value - tv_real) * scale,
        se=None if tv.se is None else tv.se * scale,
        replicates=tuple(source.scaled(-scale) for source in tv.replicates),
    )


def _jackknife(counts: ModeCounts, statistic: Callable[[NDArray[np.int64]], float]) -> Estimate:
    groups = len(counts.counts_GB)
    if counts.n < 2 * groups:
        return too_few(counts.n, needed=2 * groups)
    total_B = counts.counts_GB.sum(axis=0)
    left_out = [statistic(total_B - counts_B) for counts_B in counts.counts_GB]
    return jackknife_estimate(statistic(total_B), left_out, counts.n, cut=counts.cut)


def _divergence(counts_B: NDArray[np.int64]) -> float:
    shares_K = counts_B[:-1] / counts_B[:-1].sum()
    present_P = shares_K[shares_K > 0]
    return float(present_P @ np.log(present_P * len(shares_K)))
