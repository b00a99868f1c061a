"""Frontiers of points where more is better on every axis: what is not dominated, and how much of the space it takes.

    dominated      another point is at least as good on every axis, and better on one
    hypervolume    volume of all that lies between the origin and some point: monotone in every point, 0 for none

The hypervolume is exact: slices along the last axis, each the hypervolume of the points that reach into it, with one
axis less. Sources: E. Zitzler and L. Thiele, "Multiobjective optimization using evolutionary algorithms", PPSN V
(1998); A. P. Guerreiro, C. M. Fonseca and L. Paquete, "The hypervolume indicator: computational problems and
algorithms", ACM Computing Surveys 54 (2021), arXiv 2005.00515.

Of points that were measured with noise, the best are best by luck too, and a volume that is a maximum over them is too
large. Seen from the origin in direction λ the volume reaches as far as its farthest point does,

    volume = ∫ max_k r(y_k, λ)³/3 dλ  over the directions of the octant,  r(y, λ) = min_i y_i/λ_i

(J. Deng and Q. Zhang, "Approximating hypervolume and hypervolume contributions using polar coordinate", IEEE
Transactions on Evolutionary Computation 23 (2019); R. Zhang and D. Golovin, arXiv 2006.04655, lemma 5). So the choice
can be parted from the score: for every direction, one half of the data says which point reaches farthest, and the other
half how far that point reaches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trilemma.errors import UserError
from trilemma.statistics.estimate import Estimate
from trilemma.statistics.replicates import Replicates
from trilemma.statistics.standard_error import StandardError, combined

# Neighbouring Fibonacci numbers: a lattice that covers a square evenly (H. Niederreiter, "Random number generation and
# quasi-Monte Carlo methods", SIAM 1992, §5). Volumes are within 0.1 % of the exact ones, but for needles.
DIRECTIONS, _STEP = 6765, 4181


@dataclass(frozen=True, kw_only=True)
class Shifted:
    """The halves' points with one source of error at ± one standard error of its own, float64 (2, K, 3) each."""

    up_2K3: NDArray[np.float64]
    down_2K3: NDArray[np.float64]
    degrees_of_freedom: float = math.inf


def dominators(points: ArrayLike) -> NDArray[np.int64]:
    """Returns for each of points (K, D) which one dominates it, −1 for none; of several the largest non-dominated."""
    points_KD = _points(points)
    # Row i, column j: j is at least as good as i throughout. It is better somewhere, unless i is as good as j too.
    reaches_KK = (points_KD[None] >= points_KD[:, None]).all(axis=2)
    dominates_KK = reaches_KK & ~reaches_KK.T
    boxes_K = np.prod(points_KD.clip(min=0), axis=1)
    if not len(boxes_K):
        return np.zeros(0, dtype=np.int64)
    dominated_K = np.any(dominates_KK, axis=1)
    largest_K = np.where(dominates_KK & ~dominated_K[None], boxes_K[None], -1.0).argmax(axis=1)
    dominators_K: NDArray[np.int64] = np.where(dominated_K, largest_K, -1)
    return dominators_K


def non_dominated(points: ArrayLike) -> NDArray[np.bool_]:
    """Returns which of points (K, D) no other dominates; equal points stay together."""
    return dominators(points) < 0


def hypervolume(points: ArrayLike) -> float:
    """Returns the exact hypervolume of points (K, D) above the origin; a point without a positive side adds nothing."""
    points_KD = _points(points)
    return _volume(points_KD[(points_KD > 0).all(axis=1)])


def chosen_hypervolume(chosen_on: ArrayLike, scored_on: ArrayLike) -> float:
    """Returns the volume that settings take in ``scored_on`` where ``chosen_on`` chooses the setting.

    Both are points (K, 3) of the same K settings. With one array in both places it is its hypervolume, to 0.1 %.

    Raises:
        UserError: the two have different numbers of settings.
    """
    chosen_KL, scored_KL = _reaches(_points(chosen_on)), _reaches(_points(scored_on))
    if chosen_KL.shape != scored_KL.shape:
        raise UserError(f"Both halves need the same settings: {len(chosen_KL)} against {len(scored_KL)}.")
    if not len(chosen_KL):
        return 0.0
    reached_L = np.take_along_axis(scored_KL, chosen_KL.argmax(axis=0)[None], axis=0)[0]
    # The octant has the area π/2, and directions share it evenly.
    return math.pi / 6 * float(np.mean(reached_L**3))


def cross_fitted(halves_2K3: NDArray[np.float64]) -> float:
    """Returns the mean of both ways: chosen on the first half and scored on the second, and the other way round."""
    first_K3, second_K3 = halves_2K3
    return (chosen_hypervolume(first_K3, second_K3) + chosen_hypervolume(second_K3, first_K3)) / 2


def cross_fitted_estimate(
    halves_2K3: NDArray[np.float64], left_out_G2K3: NDArray[np.float64], others: Sequence[Shifted], n: int
) -> Estimate:
    """Returns the cross-fitted hypervolume with its standard error.

    Args:
        halves_2K3: the settings' points on each half of the samples.
        left_out_G2K3: the same without each of G groups of samples, the same samples for all settings.
        others: the sources of error that are none of the samples'. Each enters by half the difference between the
            volumes at + and − one standard error.
        n: samples in both halves together.
    """
    replicates = Replicates(kind="left_out", values_U=np.array([cross_fitted(one) for one in left_out_G2K3]))
    sampling = replicates.error()
    assert sampling is not None, "a jackknife has at least two groups"
    error = combined([sampling, *map(_error_of, others)])
    return Estimate(
        value=cross_fitted(halves_2K3),
        se=error.se,
        se_method="group_jackknife",
        n=n,
        degrees_of_freedom=error.degrees_of_freedom,
    )


def _error_of(shifted: Shifted) -> StandardError:
    half = abs(cross_fitted(shifted.up_2K3) - cross_fitted(shifted.down_2K3)) / 2
    return StandardError(se=half, degrees_of_freedom=shifted.degrees_of_freedom)


def _volume(points_KD: NDArray[np.float64]) -> float:
    """Of points that are positive throughout: slices from the top of the last axis down."""
    if not len(points_KD):
        return 0.0
    if points_KD.shape[1] == 1:
        return float(points_KD.max())
    ordered_KD = points_KD[np.argsort(-points_KD[:, -1], kind="stable")]
    heights_K = ordered_KD[:, -1] - np.append(ordered_KD[1:, -1], 0.0)
    return sum(
        float(height) * _volume(ordered_KD[: count + 1, :-1]) for count, height in enumerate(heights_K) if height > 0
    )


def _reaches(points_K3: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns how far the box of each point reaches in every direction, float64 (K, L)."""
    sides_3K1, inverse_3L = points_K3.clip(min=0).T[:, :, None], _inverse_directions()
    reaches_KL: NDArray[np.float64] = sides_3K1[0] * inverse_3L[0]
    for side_K1, inverse_L in zip(sides_3K1[1:], inverse_3L[1:], strict=True):
        np.minimum(reaches_KL, side_K1 * inverse_L, out=reaches_KL)
    return reaches_KL


@cache
def _inverse_directions() -> NDArray[np.float64]:
    """Returns 1/λ, float64 (3, L), for unit vectors λ that share the positive octant evenly.

    Equal steps in z and in the angle around its axis are equal areas.
    """
    steps_L = np.arange(DIRECTIONS)
    z_L = (steps_L + 0.5) / DIRECTIONS
    angle_L = math.pi / 2 * ((steps_L * _STEP + 0.5) / DIRECTIONS % 1)
    across_L = np.sqrt(1 - z_L**2)
    return 1 / np.stack([across_L * np.cos(angle_L), across_L * np.sin(angle_L), z_L])


def _points(points: ArrayLike) -> NDArray[np.float64]:
    points_KD = np.asarray(points, dtype=np.float64)
    if points_KD.ndim != 2 or not np.isfinite(points_KD).all():
        raise UserError(f"Points are finite numbers (K, D); these have the shape {points_KD.shape}.")
    return points_KD
