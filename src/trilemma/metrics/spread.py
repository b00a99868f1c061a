"""Within-prompt spread: do the factors that no caption tells vary, inside one prompt, as they do in the truth?

Every free factor is uniform on [0, 1] in truth; phase is in turns, on a circle of circumference 1. With F
the empirical distribution of the values read from one prompt's images,

    W₁ linear    ∫ |F(t) − t| dt
    W₁ circular  min over s of ∫ |F(t) − t − s| dt, the minimum being at the median of F(t) − t
    w            1 − (W₁ − W₁,real)/(W₁,point − W₁,real): 1 for as many true draws, 0 for one value throughout

Both integrals are exact: F(t) − t is linear between values. W₁,real(n) is the expectation for n uniform draws (seeded
simulation). W₁,point is that of a point mass whose place is itself uniform: 1/3 on the line, 1/4 on the circle; so a
model that always draws the middle of the line (W₁ = 1/4) scores a little above 0. A factor's score is the mean of w
over prompts, W the mean over factors.

Paper: Rabin, Delon and Gousseau, "Transportation distances on the circle", arXiv 0906.5499.
There is no reference implementation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trilemma.errors import UserError
from trilemma.statistics.estimate import Estimate, estimate_from, too_few
from trilemma.statistics.means import finite_vector, mean_estimate
from trilemma.statistics.replicates import Replicates, fingerprint

MINIMUM_IMAGES = 8
DRAWS = 20_000


@dataclass(frozen=True, kw_only=True)
class FactorSpread:
    """The spread of one factor.

    Attributes:
        score: mean over prompts of w, with its standard error over prompts; its n counts images.
        distance: mean over prompts of W₁, likewise.
        expected: mean over the same prompts of W₁,real.
        prompts_P: names of the prompts that had enough images, and scores_P: their w.
    """

    score: Estimate
    distance: Estimate
    expected: float | None
    prompts_P: NDArray[np.str_]
    scores_P: NDArray[np.float64]


def wasserstein_linear(values_RN: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns each row's W₁ to the uniform distribution on [0, 1], float64 (R,); values are clipped to it."""
    low_RK, high_RK = _levels(values_RN.clip(0, 1))
    return _area(low_RK, high_RK)


def wasserstein_circular(values_RN: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns each row's W₁ to the uniform distribution on the circle, float64 (R,); values are taken modulo 1."""
    low_RK, high_RK = _levels(values_RN % 1)
    shift_R1 = _median_level(low_RK, high_RK)[:, None]
    return _area(low_RK - shift_R1, high_RK - shift_R1)


@lru_cache(maxsize=1024)
def expected_distance(n: int, circular: bool) -> float:
    """Returns W₁,real(n): the mean W₁ of n uniform draws over 20,000 seeded simulations, within 0.5 %."""
    rng = np.random.default_rng([n, int(circular)])
    rows = max(1, 500_000 // n)
    total = 0.0
    for start in range(0, DRAWS, rows):
        values_RN = rng.random((min(rows, DRAWS - start), n))
        total += float(_distance(values_RN, circular).sum())
    return total / DRAWS


def point_distance(circular: bool) -> float:
    """Returns W₁,point, the expected W₁ of a point mass at a uniform place: 1/4 on the circle, 1/3 on the line."""
    return 1 / 4 if circular else 1 / 3


def recalibrate(values: ArrayLike, real_values: ArrayLike) -> NDArray[np.float64]:
    """Maps readings (N,) through the distribution of the same reading on real images (M,), where the truth is uniform.

    A reader that shrinks its answers towards the middle would else look like a model without spread.
    Returns float64 (N,) in [0, 1]: the mid-rank of each value among the real ones.
    """
    values_N, real_M = finite_vector(values, "values"), np.sort(finite_vector(real_values, "real values"))
    if len(real_M) == 0:
        raise UserError("Recalibration needs readings of real images.")
    below_N = np.searchsorted(real_M, values_N, side="left")
    return (below_N + np.searchsorted(real_M, values_N, side="right")) / (2 * len(real_M))


def factor_spread(
    values: ArrayLike,
    prompts: ArrayLike,
    *,
    circular: bool,
    exclude: ArrayLike | None = None,
    minimum: int = MINIMUM_IMAGES,
) -> FactorSpread:
    """Returns one factor's within-prompt spread.

    Args:
        values: (N,) values read from the images, [0, 1] or turns; those excluded may be anything.
        prompts: (N,) names of the prompts.
        circular: whether the factor lies on a circle.
        exclude: (N,) bool, images in which the factor is undefined, such as the angle of a ring.
        minimum: a prompt with fewer images left takes no part.

    Raises:
        UserError: values that are not finite, or vectors of unequal length.
    """
    values_K, names_K = _kept(values, prompts, exclude)
    names, counts = np.unique(names_K, return_counts=True)
    chosen_P = names[counts >= minimum]
    if len(chosen_P) < 2:
        few = too_few(len(chosen_P), needed=2, what=f"prompts with {minimum} images")
        nothing = np.zeros(0)
        return FactorSpread(score=few, distance=few, expected=None, prompts_P=chosen_P, scores_P=nothing)
    samples = [values_K[names_K == name] for name in chosen_P]
    images = sum(len(sample) for sample in samples)
    distance_P = np.array([_distance(sample[None], circular)[0] for sample in samples])
    expected_P = np.array([expected_distance(len(sample), circular) for sample in samples])
    scores_P = 1 - (distance_P - expected_P) / (point_distance(circular) - expected_P)
    return FactorSpread(
        score=replace(mean_estimate(scores_P, names=chosen_P), n=images),
        distance=replace(mean_estimate(distance_P, names=chosen_P), n=images),
        expected=float(expected_P.mean()),
        prompts_P=chosen_P,
        scores_P=scores_P,
    )


def within_prompt_spread(factors: Mapping[str, FactorSpread]) -> Estimate:
    """Returns W, the mean over factors of their scores; its standard error takes a prompt's factors together.

    A factor without a score leaves W without a value, naming it: a mean over fewer factors would be another number.
    """
    for name, factor in factors.items():
        if factor.score.value is None:
            reason = f"{name}: {factor.score.reason}"
            return Estimate(value=None, se=None, se_method="none", n=0, status=factor.score.status, reason=reason)
    if not factors:
        return too_few(0, needed=1, what="factors")
    names = np.unique(np.concatenate([factor.prompts_P for factor in factors.values()]))
    influence_P = np.zeros(len(names))
    for factor in factors.values():
        share = len(names) / (len(factors) * len(factor.scores_P))
        influence_P[np.searchsorted(names, factor.prompts_P)] += share * (factor.scores_P - factor.scores_P.mean())
    value = float(np.mean([factor.scores_P.mean() for factor in factors.values()]))
    images = max(factor.score.n for factor in factors.values())
    parts = Replicates(kind="parts", values_U=value + influence_P, cut=fingerprint(names))
    return estimate_from(value, parts, se_method="mean_clustered", n=images)


def _kept(
    values: ArrayLike, prompts: ArrayLike, exclude: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    values_N, names_N = np.asarray(values, dtype=np.float64), np.asarray(prompts, dtype=np.str_)
    excluded_N = np.zeros(len(names_N), dtype=np.bool_) if exclude is None else np.asarray(exclude, dtype=np.bool_)
    if not values_N.shape == names_N.shape == excluded_N.shape:
        raise UserError(
            f"Values, prompts and exclusions differ in length: {values_N.shape}, {names_N.shape}, {excluded_N.shape}."
        )
    kept_N = ~excluded_N
    return finite_vector(values_N[kept_N], "values"), names_N[kept_N]


def _distance(values_RN: NDArray[np.float64], circular: bool) -> NDArray[np.float64]:
    return wasserstein_circular(values_RN) if circular else wasserstein_linear(values_RN)


def _levels(values_RN: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the lowest and highest value of F(t) − t on each stretch between sorted values, (R, N + 1) each."""
    rows, n = values_RN.shape
    edges_RK = np.concatenate([np.zeros((rows, 1)), np.sort(values_RN, axis=1), np.ones((rows, 1))], axis=1)
    height_K = np.arange(n + 1) / n
    return height_K - edges_RK[:, 1:], height_K - edges_RK[:, :-1]


def _area(low_RK: NDArray[np.float64], high_RK: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns Σ ∫ |u| du over the stretches [low, high] of each row, (R,); u|u|/2 is the antiderivative of |u|."""
    areas_RK: NDArray[np.float64] = (high_RK * np.abs(high_RK) - low_RK * np.abs(low_RK)) / 2
    total_R: NDArray[np.float64] = areas_RK.sum(axis=1)
    return total_R


def _median_level(low_RK: NDArray[np.float64], high_RK: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the median of a mixture of stretches [low, high] of density 1 whose lengths sum to 1, (R,)."""
    ends_RE = np.concatenate([low_RK, high_RK], axis=1)
    steps_RE = np.concatenate([np.ones_like(low_RK), -np.ones_like(high_RK)], axis=1)
    order_RE = ends_RE.argsort(axis=1, kind="stable")
    ends_RE = np.take_along_axis(ends_RE, order_RE, axis=1)
    density_RE = np.take_along_axis(steps_RE, order_RE, axis=1).cumsum(axis=1)
    mass_RE = np.cumsum(density_RE[:, :-1] * np.diff(ends_RE, axis=1), axis=1)
    at_R1 = (mass_RE >= 0.5 - 1e-12).argmax(axis=1)[:, None]
    end_R1 = np.take_along_axis(ends_RE, at_R1 + 1, axis=1)
    density_R1 = np.take_along_axis(density_RE, at_R1, axis=1)
    beyond_R1 = np.take_along_axis(mass_RE, at_R1, axis=1) - 0.5
    median_R1: NDArray[np.float64] = end_R1 - beyond_R1 / np.maximum(density_R1, 1)
    return median_R1[:, 0]
