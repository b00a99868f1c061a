"""Fréchet distance between Gaussians fitted to features: FID for those of Inception, FD-Scenes for those of Scenes.

FD = |μ − m|² + tr Σ + tr C − 2 tr (C^½ Σ C^½)^½ with (μ, Σ) of the generated and (m, C) of the reference features,
covariances unbiased (N − 1), everything float64. Lower is better; its unit is that of the features squared.

Paper: Heusel et al., "GANs trained by a two time-scale update rule", arXiv 1706.08500, equation 6.
Reference implementation: https://github.com/toshas/torch-fidelity/blob/master/torch_fidelity/metric_fid.py
Ours differs in numerics alone. For any factor C = L Lᵀ the trace is Σ √λ(Lᵀ Σ L), a symmetric problem without complex
numbers, and a Cholesky factor is cheap. With X the centred features and N at most D it is the nuclear norm of
X L/√(N − 1), where no covariance is formed; with few samples on both sides that of X Yᵀ/√((N − 1)(M − 1)).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trilemma.errors import UserError
from trilemma.metrics.arrays import ROWS_AT_A_TIME, finite_matrix, number_matrix, require_same_width
from trilemma.metrics.covariance_roots import congruence, factored, nuclear_norm
from trilemma.metrics.moments import Gaussian, Moments, moments, stream_moments
from trilemma.statistics.estimate import Estimate, estimate_from, missing, too_few
from trilemma.statistics.influence import influence_replicates
from trilemma.statistics.means import method_name
from trilemma.statistics.replicates import Replicates

__all__ = [
    "Moments",
    "distance_between_features",
    "distance_between_moments",
    "distance_from_features",
    "frechet_distance",
    "influence",
    "moments",
    "stream_moments",
]

MINIMUM_SAMPLES = 20
SINGULAR = 1e-10
"""Directions with less than this share of the largest variance are left out of the transport map."""
SAMPLES_PER_DIMENSION = 2
"""With fewer, a half of the samples has a singular covariance."""
UNKNOWN_COUNT = "the reference does not tell its number of images, so its own sampling error is not in the error"


def distance_between_moments(generated: Gaussian, reference: Gaussian) -> float:
    """Returns the Fréchet distance of two Gaussians; raises UserError when they differ in width."""
    require_same_width(generated.mean_D[None], reference.mean_D[None])
    other = factored(reference)
    own_DD, other_DD = generated.covariance_DD, other.covariance_DD
    values_R = np.linalg.eigvalsh(congruence(own_DD, other.factor_DR))
    trace_of_root = float(np.sqrt(values_R.clip(min=0)).sum())
    return _distance(generated.mean_D - reference.mean_D, float(np.trace(own_DD) + np.trace(other_DD)), trace_of_root)


def distance_from_features(generated: ArrayLike, reference: Gaussian) -> float:
    """Returns the Fréchet distance of features (N, D) without forming their covariance: the path for N <= D."""
    generated_ND = finite_matrix(generated, "generated features")
    require_same_width(generated_ND, reference.mean_D[None])
    mean_D, centred_ND = _centred(generated_ND)
    other = factored(reference)
    trace_of_root = nuclear_norm(centred_ND @ other.factor_DR) / math.sqrt(len(centred_ND) - 1)
    return _distance(mean_D - other.mean_D, _trace(centred_ND) + float(np.trace(other.covariance_DD)), trace_of_root)


def distance_between_features(generated: ArrayLike, reference: ArrayLike) -> float:
    """Returns the Fréchet distance of features (N, D) and (M, D) by the path that suits their numbers."""
    generated_ND = number_matrix(generated, "generated features")
    reference_MD = number_matrix(reference, "reference features")
    require_same_width(generated_ND, reference_MD)
    n, m, width = len(generated_ND), len(reference_MD), generated_ND.shape[1]
    if min(n, m) < 2:
        raise UserError(f"The Fréchet distance needs 2 samples on each side; there are {n} and {m}.")
    if max(n, m) <= width:
        return _distance_of_few(generated_ND, reference_MD)
    if n <= width:
        return distance_from_features(generated_ND, moments(reference_MD))
    if m <= width:
        return distance_from_features(reference_MD, moments(generated_ND))
    return distance_between_moments(moments(generated_ND), moments(reference_MD))


def influence(generated: ArrayLike, reference: Gaussian) -> NDArray[np.float64]:
    """Returns each generated sample's influence ψ on the distance, float64 (N,), mean 0; the reference is fixed.

    ψ(x) = 2(μ − m)ᵀ(x − μ) + (x − μ)ᵀ(I − T)(x − μ) − tr((I − T)Σ), where T = L(LᵀΣL)^{−½}Lᵀ is the optimal-transport
    map between the two Gaussians. The largest |ψ| are the images that moved the score most.
    """
    generated_ND = number_matrix(generated, "generated features")
    require_same_width(generated_ND, reference.mean_D[None])
    return _value_and_influence(generated_ND, reference)[1]


def frechet_distance(
    generated: ArrayLike,
    reference: Gaussian,
    clusters: ArrayLike | None = None,
    *,
    reference_features: ArrayLike | None = None,
) -> Estimate:
    """Returns the Fréchet distance with the standard error of its influence function, corrected for the second order.

    With N < 2D there are no halves to correct it by: it is sd(ψ)/√N, and up to √2 too large. The interval lives on the
    log scale: near its minimum the distance is skewed as a weighted χ² is, and its error grows with its value, so that
    value ± t·se would miss above; the logarithm is nearly symmetric near the minimum and far from it.

    Args:
        generated: features (N, D) of the generated images.
        reference: the moments of the reference features.
        clusters: (N,) labels, such as the prompt, of samples that are not independent of one another.
        reference_features: the features (M, D) behind ``reference``. With them the error counts the sampling of both
            sides ("influence_both"); without them the reference is held fixed ("influence"), as between models that
            share it. Where its count is unknown the reason says so.

    Raises:
        UserError: features that are not finite or not as wide as the reference's.
    """
    generated_ND = number_matrix(generated, "generated features")
    require_same_width(generated_ND, reference.mean_D[None])
    n = len(generated_ND)
    if n < MINIMUM_SAMPLES:
        return too_few(n, needed=MINIMUM_SAMPLES)
    if reference.count is not None and reference.count < MINIMUM_SAMPLES:
        return missing(f"needs at least {MINIMUM_SAMPLES} reference samples; there are {reference.count}", n=n)
    reference = factored(reference)
    value, psi_N = _value_and_influence(generated_ND, reference)
    sources, method = [_replicates(psi_N, generated_ND, reference, clusters)], "influence"
    if reference_features is not None:
        sources.append(_replicates_of_reference(generated_ND, reference_features))
        method = "influence_both"
    reason = UNKNOWN_COUNT if reference.count is None and reference_features is None else None
    named = method_name(method, clusters)
    return estimate_from(value, *sources, se_method=named, n=n, scale="log", reason=reason)


def _replicates(
    psi_N: NDArray[np.float64], features_ND: NDArray[Any], other: Gaussian, clusters: ArrayLike | None
) -> Replicates:
    if len(features_ND) < SAMPLES_PER_DIMENSION * features_ND.shape[1]:
        return influence_replicates(psi_N, None, clusters)
    return influence_replicates(psi_N, lambda chosen_N: influence(features_ND[chosen_N], other), clusters)


def _replicates_of_reference(generated_ND: NDArray[Any], reference_features: ArrayLike) -> Replicates:
    """Returns what the reference's sampling adds: the distance is symmetric, so is its influence."""
    reference_MD = number_matrix(reference_features, "reference features")
    require_same_width(generated_ND, reference_MD)
    own = factored(moments(generated_ND))
    return _replicates(_value_and_influence(reference_MD, own)[1], reference_MD, own, None)


def _value_and_influence(generated_ND: NDArray[Any], reference: Gaussian) -> tuple[float, NDArray[np.float64]]:
    """Returns the distance and ψ (N,) from one decomposition where it can serve both."""
    if len(generated_ND) <= generated_ND.shape[1]:
        return _by_samples(generated_ND.astype(np.float64, copy=False), reference)
    return _by_dimensions(generated_ND, reference)


def _by_samples(generated_ND: NDArray[np.float64], reference: Gaussian) -> tuple[float, NDArray[np.float64]]:
    """The path for N <= D: with X L/√(N − 1) = U S Vᵀ, xᵢᵀ T xᵢ is (N − 1) Σ U²ᵢₖ Sₖ and the trace term Σ S."""
    mean_D, centred_ND = _centred(generated_ND)
    degrees = len(centred_ND) - 1
    other = factored(reference)
    root_NR = centred_ND @ other.factor_DR / math.sqrt(degrees)
    squares_N, vectors_NN = np.linalg.eigh(root_NR @ root_NR.T)
    moved_N = degrees * (vectors_NN**2 @ np.sqrt(squares_N.clip(min=0)))
    shift_D = mean_D - other.mean_D
    spread = _trace(centred_ND) + float(np.trace(other.covariance_DD))
    quadratic_N = np.einsum("nd,nd->n", centred_ND, centred_ND) - moved_N
    # Eigenvalues of the Gram matrix lose half of the digits of the small ones: the value is of singular values.
    return _distance(shift_D, spread, nuclear_norm(root_NR)), _centred_psi(2 * centred_ND @ shift_D, quadratic_N)


def _by_dimensions(generated_ND: NDArray[Any], reference: Gaussian) -> tuple[float, NDArray[np.float64]]:
    """The path for N > D: with LᵀΣL = V Λ Vᵀ the trace term is Σ √Λ and T = (L V Λ^{−¼})(L V Λ^{−¼})ᵀ."""
    own, other = moments(generated_ND), factored(reference)
    own_DD, factor_DR = own.covariance_DD, other.factor_DR
    values_R, vectors_RR = np.linalg.eigh(congruence(own_DD, factor_DR))
    kept_R = values_R > SINGULAR * values_R.max(initial=0.0)
    half_DK = factor_DR @ vectors_RR[:, kept_R] / values_R[kept_R] ** 0.25
    shift_D = own.mean_D - other.mean_D
    spread = float(np.trace(own_DD) + np.trace(other.covariance_DD))
    value = _distance(shift_D, spread, float(np.sqrt(values_R.clip(min=0)).sum()))
    linear_N, quadratic_N = np.empty(own.count), np.empty(own.count)
    for start in range(0, own.count, ROWS_AT_A_TIME):
        rows = slice(start, start + ROWS_AT_A_TIME)
        centred_BD = generated_ND[rows] - own.mean_D
        moved_BK = centred_BD @ half_DK
        linear_N[rows] = 2 * centred_BD @ shift_D
        quadratic_N[rows] = np.einsum("bd,bd->b", centred_BD, centred_BD) - np.einsum("bk,bk->b", moved_BK, moved_BK)
    return value, _centred_psi(linear_N, quadratic_N)


def _centred_psi(linear_N: NDArray[np.float64], quadratic_N: NDArray[np.float64]) -> NDArray[np.float64]:
    psi_N: NDArray[np.float64] = linear_N + quadratic_N - quadratic_N.mean()
    return psi_N


def _distance_of_few(generated_ND: NDArray[Any], reference_MD: NDArray[Any]) -> float:
    (mean_D, own_ND), (other_D, other_MD) = _centred(generated_ND), _centred(reference_MD)
    few, many = sorted((own_ND, other_MD), key=len)
    trace_of_root = nuclear_norm(few @ many.T) / math.sqrt((len(few) - 1) * (len(many) - 1))
    return _distance(mean_D - other_D, _trace(own_ND) + _trace(other_MD), trace_of_root)


def _distance(shift_D: NDArray[np.float64], spread: float, trace_of_root: float) -> float:
    return float(shift_D @ shift_D) + spread - 2 * trace_of_root


def _centred(features_ND: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    centred_ND = features_ND.astype(np.float64)
    mean_D: NDArray[np.float64] = centred_ND.mean(axis=0)
    centred_ND -= mean_D
    return mean_D, centred_ND


def _trace(centred_ND: NDArray[np.float64]) -> float:
    """Returns the trace of the unbiased covariance of centred features."""
    return float(np.einsum("nd,nd->", centred_ND, centred_ND)) / (len(centred_ND) - 1)
