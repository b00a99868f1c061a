"""Fréchet distance between Gaussians fitted to features: FID for those of Inception, FD-Scenes for those of Scenes.

FD = |μ − m|² + tr Σ + tr C − 2 tr (C^½ Σ C^½)^½ with (μ, Σ) of the generated and (m, C) of the reference features,
covariances unbiased (N − 1), everything float64. Lower is better; its unit is that of the features squared.

Paper: Heusel et al., "GANs trained by a two time-scale update rule", arXiv 1706.08500, equation 6.
Reference implementation: https://github.com/toshas/torch-fidelity/blob/master/torch_fidelity/metric_fid.py
Ours differs in numerics alone: for any factor C = L Lᵀ the trace is Σ √λ(Lᵀ Σ L), a symmetric problem without complex
numbers, and with fewer samples than dimensions it is the nuclear norm of X L/√(N − 1), where no covariance is formed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trilemma.errors import UserError
from trilemma.metrics.arrays import finite_matrix, require_same_width
from trilemma.statistics.estimate import Estimate, missing, too_few
from trilemma.statistics.means import method_name, standard_error_of_mean

MINIMUM_SAMPLES = 20
SINGULAR = 1e-10
"""Directions with less than this share of the largest variance are left out of the transport map."""


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Count, mean (D,) and scatter Σ (x − mean)(x − mean)ᵀ (D, D) of features, float64; parts merge in any order."""

    count: int
    mean_D: NDArray[np.float64]
    scatter_DD: NDArray[np.float64]

    @property
    def covariance_DD(self) -> NDArray[np.float64]:
        """The unbiased covariance; raises UserError with fewer than two samples."""
        if self.count < 2:
            raise UserError(f"A covariance needs at least 2 samples; there are {self.count}.")
        return self.scatter_DD / (self.count - 1)

    def merge(self, other: Moments) -> Moments:
        """Returns the moments of both parts together (Chan, Golub and LeVeque, 1979)."""
        count = self.count + other.count
        if count == 0:
            return self
        shift_D = other.mean_D - self.mean_D
        between_DD = np.outer(shift_D, shift_D) * (self.count * other.count / count)
        return Moments(
            count=count,
            mean_D=(self.count * self.mean_D + other.count * other.mean_D) / count,
            scatter_DD=self.scatter_DD + other.scatter_DD + between_DD,
        )


def moments(features: ArrayLike) -> Moments:
    """Returns the moments of features (N, D)."""
    features_ND = finite_matrix(features, "features")
    if len(features_ND) == 0:
        width = features_ND.shape[1]
        return Moments(count=0, mean_D=np.zeros(width), scatter_DD=np.zeros((width, width)))
    mean_D = features_ND.mean(axis=0)
    centred_ND = features_ND - mean_D
    return Moments(count=len(features_ND), mean_D=mean_D, scatter_DD=centred_ND.T @ centred_ND)


def stream_moments(batches: Iterable[ArrayLike]) -> Moments:
    """Returns the moments of all batches (each (B, D)) together, holding one batch at a time."""
    total: Moments | None = None
    for batch in batches:
        part = moments(batch)
        total = part if total is None else total.merge(part)
    if total is None:
        raise UserError("There are no batches to take the moments of.")
    return total


def distance_between_moments(generated: Moments, reference: Moments) -> float:
    """Returns the Fréchet distance of two sets of moments."""
    factor_DR = _factor(reference.covariance_DD)
    inner_RR = factor_DR.T @ generated.covariance_DD @ factor_DR
    return _distance(generated, reference, float(np.sqrt(np.linalg.eigvalsh(inner_RR).clip(min=0)).sum()))


def distance_from_features(generated: ArrayLike, reference: Moments) -> float:
    """Returns the Fréchet distance of features (N, D) without forming their covariance: the path for N < D."""
    generated_ND = finite_matrix(generated, "generated features")
    own = moments(generated_ND)
    root_NR = (generated_ND - own.mean_D) @ _factor(reference.covariance_DD)
    nuclear_norm = np.linalg.svd(root_NR, compute_uv=False).sum() / np.sqrt(own.count - 1)
    return _distance(own, reference, float(nuclear_norm))


def influence(generated: ArrayLike, reference: Moments) -> NDArray[np.float64]:
    """Returns each generated sample's influence ψ on the distance, float64 (N,), mean 0; the reference is fixed.

    ψ(x) = 2(μ − m)ᵀ(x − μ) + (x − μ)ᵀ(I − T)(x − μ) − tr((I − T)Σ), where T = L(LᵀΣL)^{−½}Lᵀ is the optimal-transport
    map between the two Gaussians. The largest |ψ| are the images that moved the score most.
    """
    generated_ND = finite_matrix(generated, "generated features")
    own = moments(generated_ND)
    centred_ND = generated_ND - own.mean_D
    curvature_DD = np.eye(centred_ND.shape[1]) - _transport(own.covariance_DD, reference.covariance_DD)
    quadratic_N = np.einsum("nd,nd->n", centred_ND @ curvature_DD, centred_ND)
    linear_N: NDArray[np.float64] = 2 * centred_ND @ (own.mean_D - reference.mean_D)
    psi_N: NDArray[np.float64] = linear_N + quadratic_N - quadratic_N.mean()
    return psi_N


def frechet_distance(generated: ArrayLike, reference: Moments, clusters: ArrayLike | None = None) -> Estimate:
    """Returns the Fréchet distance with the standard error sd(ψ)/√N of its influence function.

    Args:
        generated: features (N, D) of the generated images.
        reference: the moments of the reference features; their own sampling error is not included.
        clusters: (N,) labels, such as the prompt, of samples that are not independent of one another.

    Raises:
        UserError: features that are not finite or not as wide as the reference's.
    """
    generated_ND = finite_matrix(generated, "generated features")
    require_same_width(generated_ND, reference.mean_D[None])
    n, width = generated_ND.shape
    if n < MINIMUM_SAMPLES:
        return too_few(n, needed=MINIMUM_SAMPLES)
    if reference.count < MINIMUM_SAMPLES:
        return missing(f"needs at least {MINIMUM_SAMPLES} reference samples; there are {reference.count}", n=n)
    if n < width:
        value = distance_from_features(generated_ND, reference)
    else:
        value = distance_between_moments(moments(generated_ND), reference)
    se, units = standard_error_of_mean(influence(generated_ND, reference), clusters)
    if se is None:
        return Estimate(value=value, se=None, se_method="none", n=n)
    return Estimate(value=value, se=se, se_method=method_name("influence", clusters), n=n, degrees_of_freedom=units - 1)


def _distance(generated: Moments, reference: Moments, trace_of_root: float) -> float:
    shift_D = generated.mean_D - reference.mean_D
    spread = np.trace(generated.covariance_DD) + np.trace(reference.covariance_DD)
    return float(shift_D @ shift_D + spread - 2 * trace_of_root)


def _factor(covariance_DD: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns L (D, R) with L Lᵀ = covariance and R its numerical rank."""
    values_D, vectors_DD = np.linalg.eigh(covariance_DD)
    noise = len(values_D) * np.finfo(np.float64).eps * max(float(values_D[-1]), 0.0)
    kept_D = values_D > noise
    factor_DR: NDArray[np.float64] = vectors_DD[:, kept_D] * np.sqrt(values_D[kept_D])
    return factor_DR


def _transport(covariance_DD: NDArray[np.float64], target_DD: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the map that pushes N(0, covariance) to N(0, target), on the directions where both have variance."""
    factor_DR = _factor(target_DD)
    values_R, vectors_RR = np.linalg.eigh(factor_DR.T @ covariance_DD @ factor_DR)
    kept_R = values_R > SINGULAR * values_R.max(initial=0.0)
    half_DK: NDArray[np.float64] = factor_DR @ vectors_RR[:, kept_R] / values_R[kept_R] ** 0.25
    return half_DK @ half_DK.T
