"""Two feature sets side by side, and what several metrics of a preset share: moments, and one sweep over neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from trilemma.errors import UserError
from trilemma.features.presets import MetricUse
from trilemma.metrics.moments import Gaussian, moments
from trilemma.metrics.prdc import Prdc, prdc_sweep
from trilemma.scoring.feature_set import Array, FeatureSet


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Precision, recall, density and coverage by (k, strict), against so many real images."""

    found: Mapping[tuple[int, bool], Prdc]
    n_reference: int


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The sides of one preset's metrics; what is computed once is kept here for as long as they are.

    Attributes:
        uses: the preset's metrics: they say which neighbours the sweep reaches.
        seed: chooses the real images where a metric takes as many of them as there are generated ones.
    """

    real: FeatureSet
    fake: FeatureSet
    uses: Sequence[MetricUse]
    seed: int = 0
    _gaussians: dict[str, Gaussian] = field(default_factory=dict, repr=False)
    _sweeps: dict[tuple[str, bool], Sweep] = field(default_factory=dict, repr=False)

    def generated(self, output: str) -> Array:
        """Returns the generated images' array (N, D); raises UserError where they have no such output."""
        return _array(self.fake, output, "the generated images")

    def real_features(self, output: str) -> Array:
        """Returns the real images' array (M, D); raises UserError where there is none, as with statistics."""
        return _array(self.real, output, "the real images")

    def behind(self, output: str) -> Array | None:
        """Returns the features that :meth:`gaussian` was fitted to, or None where only statistics tell of them."""
        return None if output in self.real.gaussians else self.real_features(output)

    def gaussian(self, output: str) -> Gaussian:
        """Returns the Gaussian of the real side: the one that was given, or the one fitted to its features."""
        if output in self.real.gaussians:
            return self.real.gaussians[output]
        if output not in self._gaussians:
            self._gaussians[output] = moments(self.real_features(output))
        return self._gaussians[output]

    def sweep(self, output: str, *, equal_sizes: bool) -> Sweep:
        """Returns what one sweep finds for every k that the preset asks for."""
        key = (output, equal_sizes)
        if key not in self._sweeps:
            self._sweeps[key] = self._swept(output, equal_sizes)
        return self._sweeps[key]

    def _swept(self, output: str, equal_sizes: bool) -> Sweep:
        generated_ND, real_MD = self.generated(output), self.real_features(output)
        if equal_sizes and len(real_MD) > len(generated_ND):
            # A folder lies in the order of its names, often class by class: its first images are no fair choice.
            chosen = np.random.default_rng(self.seed).permutation(len(real_MD))[: len(generated_ND)]
            real_MD = real_MD[np.sort(chosen)]
        found = prdc_sweep(
            generated_ND, real_MD, ks=self._neighbors(output), clusters=self.fake.groups, equal_sizes=equal_sizes
        )
        return Sweep(found=found, n_reference=len(real_MD))

    def _neighbors(self, output: str) -> tuple[int, ...]:
        asked = [dict(use.parameters)["k"] for use in self.uses if use.function == "prdc" and use.output == output]
        return tuple(sorted({k for k in asked if isinstance(k, int)}))


def _array(side: FeatureSet, output: str, whose: str) -> Array:
    if output not in side.arrays:
        raise UserError(f"it needs the {output} of {whose}; only statistics of them are given.")
    return side.arrays[output]
