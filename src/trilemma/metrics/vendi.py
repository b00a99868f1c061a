"""Vendi score: the effective number of unlike images, exp of the entropy of the eigenvalues of their similarity matrix.

With K the similarities (K_ii = 1) and λ the eigenvalues of K/N, VS_q = exp((1 − q)⁻¹ log Σ λ^q), which at q = 1 is
exp(−Σ λ log λ) and at q = ∞ is 1/max λ. It lies between 1 (all alike) and N (all unlike); higher is more diverse. It
grows with N: compare it at equal N, and to real images. The similarity of features is their cosine; with N > D its
eigenvalues are those of the D × D matrix XᵀX/N of the unit rows X (the dual form).

Papers: Friedman and Dieng, "The Vendi score", arXiv 2210.02410; for q, Pasarkar and Dieng, arXiv 2310.12952.
Reference implementation: https://github.com/vertaix/Vendi-Score
Ours adds a standard error. VS_q is a smooth function of the operator ρ = E x xᵀ, so a sample's influence is
VS (−xᵀ log ρ x − H) at q = 1 and VS q/(1 − q) · (xᵀ ρ^{q−1} x/Σ λ^q − 1) else; both forms read xᵀ f(ρ) x off the
eigenvectors that they have.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trilemma.errors import UserError
from trilemma.metrics.arrays import ROWS_AT_A_TIME, finite_matrix, number_matrix, unit_rows
from trilemma.statistics.estimate import Estimate, estimate_from, too_few
from trilemma.statistics.influence import influence_replicates
from trilemma.statistics.means import method_name

MINIMUM_SAMPLES = 20
"""Of images: with fewer, the score says how many there are. A matrix may be any size."""
NOISE = 1e-14
"""Eigenvalues below this, of a sum of 1, are rounding errors of zeros."""


@dataclass(frozen=True, kw_only=True)
class _Spectrum:
    """Eigenvalues λ (R,) of K/N, and for each sample the weights w (N, R) with xᵀ f(ρ) x = Σ w f(λ)."""

    values_R: NDArray[np.float64]
    weights_NR: NDArray[np.float64]


def vendi_score(features: ArrayLike, clusters: ArrayLike | None = None, *, q: float = 1.0) -> Estimate:
    """Returns the Vendi score of features (N, D) under the cosine, with its standard error.

    Args:
        clusters: (N,) labels, such as the prompt, of images that are not independent of one another.
        q: the order: 1 counts all alike, larger ones the common images, ``math.inf`` the most common alone.

    Raises:
        UserError: features that are not finite or are zero, or q < 0.
    """
    features_ND = number_matrix(features, "features")
    n, width = features_ND.shape
    _require_order(q)
    if n < MINIMUM_SAMPLES:
        return too_few(n, needed=MINIMUM_SAMPLES)
    rows_ND = unit_rows(features_ND, "features")
    spectrum = _spectrum_of_matrix(rows_ND @ rows_ND.T) if n <= width else _dual_spectrum(rows_ND)
    return _estimate(spectrum, clusters, q)


def vendi_score_of_matrix(similarities: ArrayLike, clusters: ArrayLike | None = None, *, q: float = 1.0) -> Estimate:
    """Returns the Vendi score of a similarity matrix (N, N), positive semidefinite with ones on its diagonal.

    Raises:
        UserError: another matrix, or q < 0.
    """
    matrix_NN = finite_matrix(similarities, "similarities")
    _require_order(q)
    square = matrix_NN.shape[0] == matrix_NN.shape[1]
    if not square or not np.allclose(matrix_NN, matrix_NN.T) or not np.allclose(np.diagonal(matrix_NN), 1):
        raise UserError("Similarities must be a symmetric matrix with ones on its diagonal.")
    return _estimate(_spectrum_of_matrix(matrix_NN), clusters, q)


def vendi_value(features: ArrayLike, *, q: float = 1.0) -> float:
    """Returns the Vendi score of features (N, D) alone, from eigenvalues without vectors: see ``vendi_score``."""
    rows_ND = unit_rows(number_matrix(features, "features"), "features")
    _require_order(q)
    n, width = rows_ND.shape
    gram = rows_ND @ rows_ND.T if n <= width else rows_ND.T @ rows_ND
    return _score(_kept(np.linalg.eigvalsh(gram / n)), q)


def _spectrum_of_matrix(matrix_NN: NDArray[np.float64]) -> _Spectrum:
    """Kernel form: with K/N = U λ Uᵀ, xᵢᵀ f(ρ) xᵢ = N Σ U²ᵢₖ λₖ f(λₖ)."""
    n = len(matrix_NN)
    values_N, vectors_NN = np.linalg.eigh(matrix_NN / n)
    values_N = _kept(values_N)
    return _Spectrum(values_R=values_N, weights_NR=n * vectors_NN**2 * values_N)


def _dual_spectrum(rows_ND: NDArray[np.float64]) -> _Spectrum:
    """Dual form: with XᵀX/N = V λ Vᵀ, xᵀ f(ρ) x = Σ (xᵀvₖ)² f(λₖ)."""
    values_D, vectors_DD = np.linalg.eigh(rows_ND.T @ rows_ND / len(rows_ND))
    weights_ND = np.empty_like(rows_ND)
    for start in range(0, len(rows_ND), ROWS_AT_A_TIME):
        rows = slice(start, start + ROWS_AT_A_TIME)
        weights_ND[rows] = (rows_ND[rows] @ vectors_DD) ** 2
    return _Spectrum(values_R=_kept(values_D), weights_NR=weights_ND)


def _estimate(spectrum: _Spectrum, clusters: ArrayLike | None, q: float) -> Estimate:
    value, n = _score(spectrum.values_R, q), len(spectrum.weights_NR)
    influence = influence_replicates(value * _relative_influence(spectrum, q), None, clusters)
    return estimate_from(value, influence, se_method=method_name("influence", clusters), n=n)


def _score(values_R: NDArray[np.float64], q: float) -> float:
    positive_K = values_R[values_R > 0]
    if q == 1:
        return math.exp(-float(positive_K @ np.log(positive_K)))
    if math.isinf(q):
        return 1 / float(positive_K.max())
    return math.exp(math.log(float(np.sum(positive_K**q))) / (1 - q))


def _relative_influence(spectrum: _Spectrum, q: float) -> NDArray[np.float64]:
    """Returns the influence of each sample on log VS_q, float64 (N,); its mean is 0 where no direction is left out."""
    positive_R = spectrum.values_R > 0
    values_K, weights_NK = spectrum.values_R[positive_R], spectrum.weights_NR[:, positive_R]
    if q == 1:
        influence_N: NDArray[np.float64] = -(weights_NK @ np.log(values_K) - float(values_K @ np.log(values_K)))
        return influence_N
    if math.isinf(q):
        largest = int(values_K.argmax())
        falls_N: NDArray[np.float64] = 1 - weights_NK[:, largest] / values_K[largest]
        return falls_N
    relative_N: NDArray[np.float64] = weights_NK @ values_K ** (q - 1) / float(np.sum(values_K**q)) - 1
    return relative_N * (q / (1 - q))


def _kept(values_R: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(values_R > NOISE * len(values_R), values_R, 0)


def _require_order(q: float) -> None:
    if not q >= 0:
        raise UserError(f"The order of a Vendi score is 0 or more; this one is {q}.")
