"""What a number's standard error is made of, kept so that two numbers of the same samples can be compared in pairs.

The standard error of a difference is not that of its two sides: what both share cancels. All replicates here are
linear: those of a difference are the differences, those of a multiple the multiples, and its error follows by the
same formula. Three kinds, by how the number was made:

    influence  ψ of each unit (image, or cluster of images) on a smooth statistic; SE = sd/√U, less what the second
               order counts twice, where each unit's influence within its own half of the units tells (see below)
    parts      values of independent parts whose mean is the number: images, prompts, blocks; SE = sd/√U
    left_out   the number without each of G groups; SE² = (G − 1)/G · Σ (θ₍ⱼ₎ − θ̄)²

The variance of a smooth statistic is V₁/n + V₂/n² + …; the sum of squared influence values, as the jackknife, expects
V₁/n + 2V₂/n² (Efron and Stein, "The jackknife estimate of variance", Annals of Statistics 9, 1981). Where the first
order is small, as for a distance near its minimum or for the difference of two like ones, that is too large by up to
√2. With A the estimate from all units and B the mean of those from two halves, (B − 2A)/2 estimates 2V₂/n², so the
corrected variance C is (3A − B/2)/2, held between A/2 and A. The correction subtracts a share and leaves the noise,
so that C has (C/A)² times the degrees of freedom of A.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trilemma.errors import UserError
from trilemma.statistics.standard_error import StandardError, degrees_of_variance, jackknife_se, mean_se

Kind = Literal["influence", "parts", "left_out"]
UNITS: Mapping[Kind, str] = {"influence": "samples", "parts": "samples", "left_out": "groups"}
"""What both sides of a pair share, by kind."""


@dataclass(frozen=True, kw_only=True)
class Replicates:
    """One source of a number's error.

    Attributes:
        kind: see above.
        values_U: a value for each unit.
        halves_U: for influence, each unit's influence within its own half; None where there are no halves.
        cut: names how samples were dealt to units or halves; replicates of unlike cuts are no pairs.
    """

    kind: Kind
    values_U: NDArray[np.float64]
    halves_U: NDArray[np.float64] | None = None
    cut: str = ""

    def error(self) -> StandardError | None:
        """Returns the standard error, None with fewer than two units."""
        units = len(self.values_U)
        if units < 2:
            return None
        if self.kind == "left_out":
            return StandardError(se=jackknife_se(self.values_U), degrees_of_freedom=units - 1)
        if self.kind == "parts":
            return StandardError(se=mean_se(self.values_U), degrees_of_freedom=units - 1)
        return self._error_of_influence()

    def scaled(self, factor: float) -> Replicates:
        """Returns the replicates of ``factor`` times the number, or of what changes so to first order."""
        halves_U = None if self.halves_U is None else factor * self.halves_U
        return replace(self, values_U=factor * self.values_U, halves_U=halves_U)

    def minus(self, other: Replicates) -> Replicates:
        """Returns the replicates of the difference; halves that only one side has are left aside.

        Raises:
            UserError: the two are not of the same units.
        """
        if self.kind != other.kind:
            raise UserError(f"Pairs need replicates of one kind; these are {other.kind} and {self.kind}.")
        if self.values_U.shape != other.values_U.shape:
            sides = f"{len(other.values_U)} against {len(self.values_U)}"
            raise UserError(f"Pairs need the same {UNITS[self.kind]} on both sides: {sides}.")
        if (self.halves_U is None) != (other.halves_U is None):
            return self._without_halves().minus(other._without_halves())
        if self.cut != other.cut:
            raise UserError(
                f"Pairs need the same {UNITS[self.kind]} on both sides; these are others, or were dealt otherwise."
            )
        halves_U = None if self.halves_U is None or other.halves_U is None else self.halves_U - other.halves_U
        return replace(self, values_U=self.values_U - other.values_U, halves_U=halves_U)

    def _without_halves(self) -> Replicates:
        return replace(self, halves_U=None, cut="")

    def _error_of_influence(self) -> StandardError:
        degrees, whole = degrees_of_variance(self.values_U), mean_se(self.values_U) ** 2
        if self.halves_U is None or whole == 0:
            return StandardError(se=math.sqrt(whole), degrees_of_freedom=degrees)
        units = len(self.halves_U)
        # Deviations have mean 0 within each half: two samples of U/2 with U − 2 degrees of freedom together.
        halves = 2 * float(np.sum(self.halves_U**2)) / (units * (units - 2))
        variance = corrected_variance(whole, halves)
        return StandardError(se=math.sqrt(variance), degrees_of_freedom=max(1.0, degrees * (variance / whole) ** 2))


def corrected_variance(whole: float, halves: float) -> float:
    """Returns the variance from that of all samples and the mean of those of the two halves."""
    return min(max(1.5 * whole - 0.25 * halves, 0.5 * whole), whole)


def fingerprint(labels: NDArray[Any]) -> str:
    """Returns a short digest of how samples were dealt: equal for equal labels in the same order."""
    return hashlib.sha256("\n".join(map(str, labels.tolist())).encode()).hexdigest()[:16]
