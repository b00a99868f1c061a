"""Every metric of a preset over every level of every distortion of real images: which metric saw what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trilemma.errors import UserError
from trilemma.features.presets import Preset
from trilemma.features.thumbnails import thumbnails
from trilemma.metrics.copying import copy_test, nearest_distances
from trilemma.metrics.moments import moments
from trilemma.scoring.calibration_expected import COPY_RATE, Expectation, expectation, kind_of
from trilemma.scoring.calibration_verdict import Reading, Verdict, judge, severity_tau
from trilemma.scoring.distortions import Distortion, Material
from trilemma.scoring.distortions_source import ChosenImages
from trilemma.scoring.feature_set import FeatureSet
from trilemma.scoring.measures import measure
from trilemma.scoring.numbers import score_features
from trilemma.scoring.row import Direction

if TYPE_CHECKING:
    from trilemma.features.extractor import Extractor

Progress = Callable[[str, int, int], None]
"""Is told which images are measured, how many of them are done, and of how many."""
Readings = Mapping[str, Reading]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What one metric saw of one distortion.

    Attributes:
        strengths, levels: what was done, weakest first, and what the metric says of it; ``clean`` is without.
        verdict: see :func:`~trilemma.scoring.calibration_verdict.judge`.
        tau: Kendall's tau of the metric's badness with the known severity; for images that stay good it is None.
        expected: the documented failure of this metric at this distortion, if there is one.
        unexpected: whether the verdict is a failure that is not documented.
    """

    distortion: str
    metric: str
    direction: Direction
    strengths: tuple[float, ...]
    clean: Reading
    levels: tuple[Reading, ...]
    verdict: Verdict
    tau: float | None
    expected: Expectation | None
    unexpected: bool


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """The matrix and what it depends on.

    Attributes:
        cells: distortion by distortion, in each the metrics in the preset's order.
        identity: preset, extractor, source, its content's digests, samples, levels, seed.
    """

    cells: tuple[Cell, ...]
    identity: Mapping[str, Any]

    @property
    def metrics(self) -> list[str]:
        """The metrics, in the preset's order, and the copy test."""
        return list(dict.fromkeys(cell.metric for cell in self.cells))

    @property
    def distortions(self) -> list[str]:
        """The distortions, in their order."""
        return list(dict.fromkeys(cell.distortion for cell in self.cells))

    @property
    def unexpected(self) -> list[Cell]:
        """The failures that nothing explains."""
        return [cell for cell in self.cells if cell.unexpected]

    def cell(self, distortion: str, metric: str) -> Cell:
        """Returns one cell of the matrix."""
        return next(cell for cell in self.cells if (cell.distortion, cell.metric) == (distortion, metric))


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What every set of images is measured with.

    Attributes:
        seed: deals modes, noise and copies.
        batch_size, cache: see :func:`trilemma.features.extract.extract`.
    """

    preset: Preset
    extractor: Extractor
    seed: int = 0
    batch_size: int = 64
    cache: Path | None = None
    progress: Progress = field(default=lambda title, done, total: None)

    def __post_init__(self) -> None:
        if not _judged(self.preset).metrics:
            raise UserError(f'no metric of the preset "{self.preset.name}" judges images without prompts.')

    def arrays(self, title: str, images: ChosenImages) -> dict[str, NDArray[Any]]:
        """Returns the network's arrays of a set of images."""
        from trilemma.features.extract import extract

        found = extract(
            images,
            {"network": self.extractor},
            batch_size=self.batch_size,
            cache=self.cache,
            progress=lambda done, total: self.progress(title, done, total),
        )
        return found["network"]


def calibrate(material: Material, distortions: Sequence[Distortion], levels: int, bench: Bench) -> Calibration:
    """Returns the matrix of every metric of the bench's preset over so many levels of every distortion.

    The reference is held fixed: the same images stand behind every number. What a distortion cannot do with these
    images is not measured, and says why.

    Raises:
        UserError: an image cannot be read or measured.
    """
    strengths = {distortion.name: distortion.strengths(levels) for distortion in distortions}
    instrument = _Instrument(material, bench)
    clean = instrument.readings("clean", _untouched(material, "clean", material.clean))
    cells: list[Cell] = []
    for distortion in distortions:
        graded = [_graded(instrument, distortion, strength) for strength in strengths[distortion.name]]
        cells += _cells(distortion, strengths[distortion.name], clean, graded, bench.preset)
    return Calibration(cells=tuple(cells), identity=instrument.identity | {"levels": levels})


def _graded(instrument: _Instrument, distortion: Distortion, strength: float) -> Readings | str:
    """Returns the readings at one level, or why there are none."""
    try:
        images = distortion.apply(instrument.material, strength, instrument.bench.seed)
    except UserError as error:
        return error.what
    return instrument.readings(f"{distortion.name} {strength:g}", images)


def _cells(
    distortion: Distortion,
    strengths: Sequence[float],
    clean: Readings,
    graded: Sequence[Readings | str],
    preset: Preset,
) -> Iterator[Cell]:
    kinds = {use.name: kind_of(use) for use in preset.metrics} | {COPY_RATE: COPY_RATE}
    directions = {use.name: measure(use.function).direction for use in preset.metrics}
    for metric, before in clean.items():
        direction = directions.get(metric, "lower")
        after = tuple(_absent(level) if isinstance(level, str) else level[metric] for level in graded)
        verdict = judge(before, after, direction, steady=distortion.steady)
        expected = expectation(kinds[metric], distortion.name, preset.recipe.network)
        yield Cell(
            distortion=distortion.name,
            metric=metric,
            direction=direction,
            strengths=tuple(strengths),
            clean=before,
            levels=after,
            verdict=verdict,
            tau=None if distortion.steady else severity_tau(before, after, direction),
            expected=expected,
            unexpected=_is_unexpected(verdict, expected),
        )


def _absent(reason: str) -> Reading:
    return Reading(value=None, se=None, reason=reason)


def _is_unexpected(verdict: Verdict, expected: Expectation | None) -> bool:
    """A failure that is documented is expected, and so is a metric that does better than documented."""
    passed = verdict in ("saw", "steady", "not measured")
    return not passed and (expected is None or verdict not in expected.verdicts)


class _Instrument:
    """The reference, measured once, and the readings of any other set of images against it."""

    def __init__(self, material: Material, bench: Bench) -> None:
        self.material, self.bench = material, bench
        self._preset = _judged(bench.preset)
        reference = _untouched(material, "reference", material.reference)
        arrays = bench.arrays("reference", reference)
        # A fitted Gaussian stands for a fixed reference: its sampling is no part of the errors.
        fitted = {use.output for use in self._preset.metrics if measure(use.function).needs == "gaussian"}
        self._real = FeatureSet(
            digest=reference.digest(),
            count=material.samples,
            arrays=arrays,
            gaussians={output: moments(arrays[output]) for output in fitted},
        )
        self._thumbnails = thumbnails(reference.images())
        heldout = thumbnails(_untouched(material, "held out", material.heldout).images())
        self._heldout_distances = nearest_distances(heldout, self._thumbnails)
        self.identity: dict[str, Any] = {
            "source": material.source.name,
            "reference": reference.digest(),
            "samples": material.samples,
            "seed": bench.seed,
            "preset": self._preset.name,
            "extractor": bench.extractor.identity,
        }

    def readings(self, title: str, images: ChosenImages) -> Readings:
        """Returns what every metric says of a set of images; those that show one image several times are clustered."""
        repeated = len(np.unique(images.rows)) < len(images)
        arrays = self.bench.arrays(title, images)
        fake = FeatureSet(
            digest=images.digest(), count=len(images), arrays=arrays, groups=images.rows if repeated else None
        )
        rows = score_features(
            self._preset, self._real, fake, extractor=self.bench.extractor.identity, seed=self.bench.seed, floor=False
        )
        wanted = {use.name for use in self._preset.metrics}
        found = {
            row.metric: Reading(value=row.value, se=row.se, reason=row.reason) for row in rows if row.metric in wanted
        }
        distances_N = nearest_distances(thumbnails(images.images()), self._thumbnails)
        rate = copy_test(distances_N, self._heldout_distances).rate
        return found | {COPY_RATE: Reading(value=rate.value, se=rate.se, reason=rate.reason)}


def _judged(preset: Preset) -> Preset:
    """Returns the preset without the metrics that need prompts."""
    return replace(preset, metrics=tuple(use for use in preset.metrics if use.function != "clip_score"))


def _untouched(material: Material, role: str, rows: NDArray[np.int64]) -> ChosenImages:
    return ChosenImages(f"{material.source.name}, {role}", material.source, rows)
