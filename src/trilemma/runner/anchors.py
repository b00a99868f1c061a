"""What real images gave: the reference of every metric and the anchors of the scores. Computed once for all models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trilemma.data import scenes
from trilemma.errors import UserError
from trilemma.metrics.copying import nearest_distances
from trilemma.metrics.frechet import frechet_distance, moments
from trilemma.metrics.modes import residual_threshold
from trilemma.metrics.moments import Gaussian
from trilemma.protocol import Protocol
from trilemma.runner.plan import plan
from trilemma.runner.reference_sets import TRUTH_SEED, reference_sets
from trilemma.statistics.estimate import Estimate, missing
from trilemma.store.arrays import read_arrays

FLOOR_DRAWS = 20

Arrays = dict[str, NDArray[Any]]


class NotAtHand(UserError):
    """Something that a number needs, and that this machine does not have: nothing failed, and the number is absent."""


class Anchors:
    """The measurements of real images of a protocol, read from the cache when they are first asked for."""

    def __init__(self, protocol: Protocol, cache_folder: Path, identity: Mapping[str, str]) -> None:
        self.protocol, self.identity = protocol, dict(identity)
        self._sets = {entry.name: entry for entry in reference_sets(protocol)}
        self._paths = {n: entry.path(cache_folder, protocol, identity) for n, entry in self._sets.items()}
        self.digests = {str(n): entry.digest(protocol, identity) for n, entry in self._sets.items()}
        self._keep()

    def _keep(self) -> None:
        """What is asked for again and again is computed once."""
        self.arrays = cache(self._read)
        self.floor = cache(self._floor)
        self.reduced = cache(self._reduced)

    def _read(self, name: str) -> Arrays:
        """Returns the arrays of one reference set."""
        return read_arrays(self._paths[name])  # type: ignore[index]

    @cached_property
    def moments(self) -> Gaussian:
        """Of the reference images' features."""
        return moments(self.arrays("reference")["features"])

    @cached_property
    def residual_threshold(self) -> float:
        """Real images' 99th percentile: above it an image lies off the manifold."""
        return residual_threshold(self.arrays("reference")["residual"])

    @cached_property
    def heldout_distances(self) -> NDArray[np.float64]:
        """How near real unseen images come to a training image, for the copy test."""
        return nearest_distances(self.arrays("heldout")["thumbnails"], self.arrays("training")["thumbnails"])

    @cached_property
    def within_prompts(self) -> list[str]:
        """The prompt of each image of the set "within"."""
        entry = self._sets["within"].sample_set
        assert entry is not None
        return [planned.prompt_id for planned in plan(self.protocol, TRUTH_SEED)[entry.name]]

    def _floor(self, n: int) -> Estimate:
        """Returns F1 at n images: the mean distance of 20 draws of real images, disjoint as far as the pool goes."""
        pool = self.arrays("floor")["features"]
        if n > len(pool):
            return missing(f"needs {n} real images to draw from; there are {len(pool)}", n=n)
        values = []
        for drawn in draws(pool, n, FLOOR_DRAWS):
            distance = frechet_distance(drawn, self.moments)
            if distance.value is None:
                return distance
            values.append(distance.value)
        return mean_of_draws(values, n)

    def _reduced(self, n: int) -> Estimate:
        """Returns F0 at n images: the distance of the control `reduced`."""
        features = self.arrays("reduced")["features"]
        if n > len(features):
            return missing(f"needs {n} images of the control `reduced`; there are {len(features)}", n=n)
        # Without its replicates: in a comparison of two models the anchors are one and the same, and held fixed.
        return replace(frechet_distance(features[:n], self.moments), replicates=())

    def reader_accuracy(self) -> dict[str, float]:
        """Returns the share of held-out real images whose captioned factors are read right, each and all together."""
        reference = self.protocol.reference
        assert reference is not None
        truth = scenes.factors(reference.heldout_split, range(reference.heldout_images))
        read = self.arrays("heldout")
        right = {name: read[f"read_{name}"] == getattr(truth, name) for name in ("shape", "color", "background")}
        together = np.logical_and.reduce(list(right.values()))
        return {**{name: float(flags.mean()) for name, flags in right.items()}, "all": float(together.mean())}


def draws(pool_ND: NDArray[Any], n: int, count: int) -> Iterator[NDArray[Any]]:
    """Yields ``count`` draws of n rows, disjoint as far as the pool goes, then dealt anew; one of less than 2n rows."""
    for draw in range(count if len(pool_ND) >= 2 * n else 1):
        chunk = draw % (len(pool_ND) // n)
        order = np.random.default_rng(draw - chunk).permutation(len(pool_ND))
        yield pool_ND[order[chunk * n : (chunk + 1) * n]]


def mean_of_draws(values: list[float], n: int) -> Estimate:
    """Returns the mean of what draws of n images gave, with its standard error; of a single draw it is unknown."""
    if len(values) < 2:
        return Estimate(value=values[0], se=None, se_method="none", n=n)
    se = float(np.std(values, ddof=1)) / len(values) ** 0.5
    return Estimate(value=float(np.mean(values)), se=se, se_method="mean", n=n, degrees_of_freedom=len(values) - 1)
