"""The readings of sets of images against one reference, with every image decoded and measured as seldom as can be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trilemma.errors import UserError
from trilemma.features.extract import Extracts, extract
from trilemma.features.extractor import load_extractor
from trilemma.features.presets import Preset
from trilemma.features.thumbnails import thumbnails
from trilemma.metrics.copying import copy_test, nearest_distances
from trilemma.metrics.moments import moments
from trilemma.scoring.calibration_expected import COPY_RATE
from trilemma.scoring.calibration_verdict import Reading
from trilemma.scoring.copies import PIXELS, THUMBNAILS
from trilemma.scoring.distortions import Images, Material
from trilemma.scoring.feature_set import FeatureSet
from trilemma.scoring.measures import measure
from trilemma.scoring.numbers import score_features
from trilemma.scoring.views import Chosen

Progress = Callable[[str, int, int], None]
"""Is told which images are measured, how many of them are done, and of how many."""
Readings = Mapping[str, Reading]


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What every set of images is measured with.

    Attributes:
        seed: deals modes, noise and copies.
        batch_size, cache: see :func:`trilemma.features.extract.extract`.
    """

    preset: Preset
    extractor: Extracts
    seed: int = 0
    batch_size: int | None = None
    cache: Path | None = None
    progress: Progress = field(default=lambda title, done, total: None)

    def __post_init__(self) -> None:
        if not self.judging.metrics:
            raise UserError(f'no metric of the preset "{self.preset.name}" judges images without prompts.')

    @property
    def judging(self) -> Preset:
        """The preset without the metrics that need prompts."""
        judging = tuple(use for use in self.preset.metrics if use.function != "clip_score")
        return replace(self.preset, metrics=judging)


class Instrument:
    """The reference, measured once, and the readings of any other set of images against it."""

    def __init__(self, material: Material, bench: Bench) -> None:
        self.material, self.bench = material, bench
        self._thumbnails = load_extractor(PIXELS.recipe)
        self._untouched = material.chosen(np.concatenate([material.reference.rows, material.clean.rows]))
        self._measured = self._measure("real images", self._untouched)
        self._real = self._reference()
        heldout = thumbnails(material.heldout.images())
        self._heldout_distances = nearest_distances(heldout, self._real.arrays[THUMBNAILS])
        self.identity: dict[str, Any] = {
            "source": material.source.name,
            "reference": material.reference.digest(),
            "samples": material.samples,
            "seed": bench.seed,
            "preset": bench.preset.name,
            "extractor": bench.extractor.identity,
        }

    def readings(self, title: str, images: Images) -> Readings:
        """Returns what every metric says of a set of images; those that show one image several times are clustered."""
        fake = replace(self._features(title, images), groups=_repeats(images))
        preset = self.bench.judging
        rows = score_features(
            preset, self._real, fake, extractor=self.bench.extractor.identity, seed=self.bench.seed, floor=False
        )
        wanted = {use.name for use in preset.metrics}
        found = {
            row.metric: Reading(value=row.value, se=row.se, reason=row.reason) for row in rows if row.metric in wanted
        }
        distances_N = nearest_distances(fake.arrays[THUMBNAILS], self._real.arrays[THUMBNAILS])
        rate = copy_test(distances_N, self._heldout_distances).rate
        return found | {COPY_RATE: Reading(value=rate.value, se=rate.se, reason=rate.reason)}

    def _reference(self) -> FeatureSet:
        """A fitted Gaussian stands for a fixed reference: its sampling is no part of the errors."""
        reference = self._features("reference", self.material.reference)
        uses = self.bench.judging.metrics
        fitted = {use.output for use in uses if measure(use.function).needs == "gaussian"}
        return replace(reference, gaussians={output: moments(reference.arrays[output]) for output in fitted})

    def _features(self, title: str, images: Images) -> FeatureSet:
        """Measures a set of images, unless all of them were measured before as they are."""
        if isinstance(images, Chosen) and np.isin(images.rows, self._untouched.rows).all():
            return self._measured.rows(np.searchsorted(self._untouched.rows, images.rows))
        return self._measure(title, images)

    def _measure(self, title: str, images: Images) -> FeatureSet:
        """Returns the network's arrays of a set of images, and their thumbnails, from one pass over them."""
        found = extract(
            images,
            {"network": self.bench.extractor, THUMBNAILS: self._thumbnails},
            batch_size=self.bench.batch_size,
            cache=self.bench.cache,
            progress=lambda done, total: self.bench.progress(title, done, total),
        )
        arrays = {**found["network"], **found[THUMBNAILS]}
        return FeatureSet(digest=images.digest(), count=len(images), arrays=arrays)


def _repeats(images: Images) -> NDArray[np.int64] | None:
    """Returns which image each one is, where some come more than once; those that are changed come once each."""
    if not isinstance(images, Chosen):
        return None
    return images.rows if len(np.unique(images.rows)) < len(images) else None
