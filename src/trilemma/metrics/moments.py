"""Mean and covariance of features: float64, streamed batch by batch, merged from shards in any order.

Sums are of centred rows, so that an offset costs no digits; parts merge by the pairwise rule of Chan, Golub and
LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", Stanford STAN-CS-79-773 (1979).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trilemma.errors import UserError
from trilemma.metrics.arrays import ROWS_AT_A_TIME, number_matrix


class Gaussian(Protocol):
    """What a distance between Gaussians needs: mean (D,), unbiased covariance (D, D), and the count where known."""

    @property
    def count(self) -> int | None:
        """Samples that the Gaussian was fitted to; None where a file does not say."""

    @property
    def mean_D(self) -> NDArray[np.float64]:
        """The mean."""

    @property
    def covariance_DD(self) -> NDArray[np.float64]:
        """The unbiased covariance (N − 1)."""


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
        """Returns the moments of both parts together; raises UserError when they differ in width."""
        if self.mean_D.shape != other.mean_D.shape:
            raise UserError(f"Moments of width {len(self.mean_D)} and {len(other.mean_D)} cannot be merged.")
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
    """Returns the moments of features (N, D); raises UserError when they are not finite."""
    features_ND = number_matrix(features, "features")
    n, width = features_ND.shape
    scatter_DD = np.zeros((width, width))
    if n == 0:
        return Moments(count=0, mean_D=np.zeros(width), scatter_DD=scatter_DD)
    mean_D: NDArray[np.float64] = features_ND.mean(axis=0, dtype=np.float64)
    for start in range(0, n, ROWS_AT_A_TIME):
        centred_BD = features_ND[start : start + ROWS_AT_A_TIME] - mean_D
        scatter_DD += centred_BD.T @ centred_BD
    return Moments(count=n, mean_D=mean_D, scatter_DD=scatter_DD)


def stream_moments(batches: Iterable[ArrayLike]) -> Moments:
    """Returns the moments of all batches (each (B, D)) together, holding one batch at a time."""
    total: Moments | None = None
    for batch in batches:
        part = moments(batch)
        total = part if total is None else total.merge(part)
    if total is None:
        raise UserError("There are no batches to take the moments of.")
    return total
