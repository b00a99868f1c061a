"""Every metric of a preset over every level of every distortion of real images: which metric saw what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trilemma.errors import UserError
from trilemma.features.presets import Preset
from trilemma.scoring.calibration_expected import COPY_RATE, Expectation, expectation, kind_of
from trilemma.scoring.calibration_instrument import Bench, Instrument, Readings
from trilemma.scoring.calibration_verdict import Reading, Verdict, judge, severity_tau
from trilemma.scoring.copies import PIXELS
from trilemma.scoring.distortions import Distortion, Material
from trilemma.scoring.measures import measure
from trilemma.scoring.row import Direction


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


def calibrate(material: Material, distortions: Sequence[Distortion], levels: int, bench: Bench) -> Calibration:
    """Returns the matrix of every metric of the bench's preset over so many levels of every distortion.

    The reference is held fixed: the same images stand behind every number. What a distortion cannot do with these
    images is not measured, and says why.

    Raises:
        UserError: an image cannot be read or measured.
    """
    strengths = {distortion.name: distortion.strengths(levels) for distortion in distortions}
    instrument = Instrument(material, bench)
    clean = instrument.readings("clean", material.clean)
    cells: list[Cell] = []
    for distortion in distortions:
        graded = [_graded(instrument, distortion, strength) for strength in strengths[distortion.name]]
        cells += _cells(distortion, strengths[distortion.name], clean, graded, bench.preset)
    return Calibration(cells=tuple(cells), identity=instrument.identity | {"levels": levels})


def _graded(instrument: Instrument, distortion: Distortion, strength: float) -> Readings | str:
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
    directions = {use.name: measure(use.function).direction for use in (*preset.metrics, *PIXELS.metrics)}
    for metric, before in clean.items():
        direction = directions[metric]
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
