"""One benchmark for each file of ``metrics/`` that computes something; ``bench_metrics.py`` compares with other suites.

At full size N = 2,048 images of 64 prompts against 10,000 real ones and 100,000 of training, features 128 wide: what
the protocol "scenes" compares. sFID's features are 2,023 wide, Inception's 2,048.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from trilemma.metrics import agreement, modes, spread
from trilemma.metrics.clip_score import clip_score
from trilemma.metrics.cmmd import cmmd
from trilemma.metrics.copying import copy_test, nearest_distances
from trilemma.metrics.covariance_roots import factored
from trilemma.metrics.frechet import frechet_distance
from trilemma.metrics.frechet_infinity import frechet_infinity
from trilemma.metrics.inception_score import inception_score_of_factors, inception_score_of_logits
from trilemma.metrics.kernel import kernel_distance
from trilemma.metrics.moments import Moments, moments
from trilemma.metrics.neighbors import neighbor_radii
from trilemma.metrics.prdc import coverage_within, prdc
from trilemma.metrics.spatial_frechet import WIDTH as SPATIAL
from trilemma.metrics.spatial_frechet import spatial_frechet_distance
from trilemma.metrics.vendi import vendi_score
from trilemma.metrics.within_prompt import within_prompt_vendi

if TYPE_CHECKING:
    from conftest import Sizes

Floats = NDArray[np.float32]
CLASSES = 1008  # of Inception's logits


class Inputs:
    """What the metrics read, made once, when it is first asked for."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self.rng = np.random.default_rng(0)

    def features(self, n: int, width: int) -> Floats:
        """Correlated features; one mixing for each width, so that generated and real ones resemble each other."""
        mixing = np.random.default_rng(99).standard_normal((width, width), dtype=np.float32) / np.float32(width**0.5)
        return self.rng.standard_normal((n, width), dtype=np.float32) @ mixing

    @cached_property
    def generated(self) -> Floats:
        return self.features(self.sizes.images, self.sizes.width)

    @cached_property
    def real(self) -> Floats:
        return self.features(self.sizes.real, self.sizes.width)

    @cached_property
    def reference(self) -> Moments:
        return moments(self.real)

    @cached_property
    def wide(self) -> Floats:
        return self.features(self.sizes.real, self.sizes.wide)

    @cached_property
    def spatial(self) -> tuple[Floats, Moments]:
        return self.features(self.sizes.images // 2, SPATIAL), moments(self.features(self.sizes.images, SPATIAL))

    @cached_property
    def prompts(self) -> NDArray[np.int64]:
        return np.arange(self.sizes.images) // self.sizes.per_prompt

    @cached_property
    def values(self) -> NDArray[np.float64]:
        return self.rng.random(self.sizes.images)

    @cached_property
    def thumbnails(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        sides = (self.sizes.images, self.sizes.training)
        own, training = (self.rng.integers(0, 256, (n, 768), dtype=np.uint8) for n in sides)
        return own, training

    def factors(self) -> dict[str, spread.FactorSpread]:
        names = ("x", "angle")
        return {n: spread.factor_spread(self.values, self.prompts, circular=n == "angle") for n in names}

    def modes(self) -> modes.ModeCounts:
        return modes.count_modes((self.values * modes.MODES).astype(np.int64), self.values > 0.99)


def _copies(given: Inputs) -> Any:
    own, training = given.thumbnails
    distances = nearest_distances(own, training)
    return copy_test(distances, distances)


def _agreement(given: Inputs) -> Any:
    read = (given.values[:, None] * 8).astype(np.int64)
    scores = agreement.clip_score(given.values), agreement.mean_residual(given.values)
    return *scores, agreement.prompt_accuracy(read, read), agreement.off_manifold_rate(given.values, 0.99)


def _modes(given: Inputs) -> Any:
    counts = given.modes()
    return modes.modes_covered(counts), modes.mode_tv(counts), modes.mode_kl(counts)


def _logits(given: Inputs, classes: int) -> Floats:
    return given.features(given.sizes.images, classes)


METRICS: Mapping[str, Callable[[Inputs], Any]] = {
    "agreement": _agreement,
    "clip_score": lambda given: clip_score(given.generated, given.generated),
    "cmmd": lambda given: cmmd(given.generated, given.real),
    "copying": _copies,
    "covariance_roots": lambda given: factored(moments(given.wide)),
    "frechet": lambda given: frechet_distance(given.generated, given.reference),
    "frechet_infinity": lambda given: frechet_infinity(given.generated, given.reference),
    "inception_score": lambda given: inception_score_of_factors(given.generated[:, :6], (2, 2, 2)),
    "kernel": lambda given: kernel_distance(given.generated, given.real),
    "modes": _modes,
    "moments": lambda given: moments(given.wide),
    "neighbors": lambda given: neighbor_radii(given.real, 5),
    "prdc": lambda given: prdc(given.generated, given.real),
    "spatial_frechet": lambda given: spatial_frechet_distance(*given.spatial),
    "spread": lambda given: spread.within_prompt_spread(given.factors()),
    "vendi": lambda given: vendi_score(given.generated),
    "within_prompt": lambda given: within_prompt_vendi(given.generated, given.prompts),
}
"""By file of ``metrics/``."""


@pytest.fixture(scope="module")
def given(sizes: Sizes) -> Inputs:
    return Inputs(sizes)


@pytest.mark.benchmark(group="metrics")
@pytest.mark.parametrize("name", METRICS)
def test_metric(benchmark: Callable[..., Any], given: Inputs, name: str) -> None:
    METRICS[name](given)  # makes the inputs, which are no part of the metric
    found = benchmark(METRICS[name], given)
    assert all(math.isfinite(value) for value in _values(found))


def _values(found: Any) -> list[float]:
    """Returns every value in what a metric gives; a metric that gives none has refused its inputs."""
    parts = found if isinstance(found, tuple) else (found,)
    values = [getattr(part, "value", 0.0) for part in parts]
    assert None not in values
    return values


@pytest.mark.benchmark(group="metrics, Inception's classes")
def test_inception_score(benchmark: Callable[..., Any], given: Inputs) -> None:
    logits = _logits(given, CLASSES)
    assert benchmark(inception_score_of_logits, logits).value is not None


@pytest.mark.benchmark(group="metrics within prompts")
def test_coverage_within_prompts(benchmark: Callable[..., Any], given: Inputs) -> None:
    real = given.features(given.sizes.images, given.sizes.width)
    assert benchmark(coverage_within, given.generated, given.prompts, real, given.prompts).value is not None
