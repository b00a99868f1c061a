"""The hypervolume of a model's settings, chosen on one half of the samples and scored on the other.

Its error is a jackknife over groups of sample keys, the same group left out of both halves and of all settings, to
which the errors of the anchors and of the times are added: docs/decisions/018-hypervolume-of-a-frontier.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trilemma.errors import UserError
from trilemma.metrics.covariance_roots import Factored
from trilemma.runner.anchors import Anchors
from trilemma.runner.evaluate import split_sets
from trilemma.runner.halves import HALVES, Pieces, Raw, Scale, cells_of, pieces, times_of
from trilemma.runner.job import REFERENCE
from trilemma.runner.speed import best_batch
from trilemma.statistics.estimate import Estimate
from trilemma.statistics.frontier import Shifted, cross_fitted_estimate, hypervolume
from trilemma.statistics.jackknife import GROUPS
from trilemma.statistics.standard_error import StandardError
from trilemma.store.run import Run
from trilemma.timing.reference_decoder import SCENARIO

Pair = tuple[Raw, Raw]  # on the first and on the second half
Points = NDArray[np.float64]  # (2, K, 3)
WITHOUT_ERROR = "no standard error: a time or an anchor has none, and without its part it would be too small"


@dataclass(frozen=True, kw_only=True)
class Halved:
    """One setting on each half, and without each group; ``time_error`` is of its time per image."""

    halves: Pair
    left_out: tuple[Pair, ...]
    time_error: StandardError | None
    images: tuple[int, int]

    def slowed(self, errors: float) -> Pair:
        """Returns the halves with all calls slower by some standard errors."""
        se = None if self.time_error is None else self.time_error.se
        first, second = (replace(raw, seconds=_moved(raw.seconds, se, errors)) for raw in self.halves)
        return first, second


@dataclass(frozen=True, kw_only=True)
class Unit:
    """The anchors at the size of each half, and one pass of the reference decoder, with their errors."""

    reduced: tuple[Estimate, Estimate]
    floor: tuple[Estimate, Estimate]
    reference: Estimate

    def scales(self, *, reduced: float = 0.0, floor: float = 0.0, reference: float = 0.0) -> tuple[Scale, Scale]:
        """Returns both halves' anchors, each moved by so many of its standard errors."""
        first, second = (
            Scale(
                reduced=_moved(self.reduced[half].value, self.reduced[half].se, reduced),
                floor=_moved(self.floor[half].value, self.floor[half].se, floor),
                reference_seconds=_moved(self.reference.value, self.reference.se, reference),
            )
            for half in range(HALVES)
        )
        return first, second

    @property
    def errors_known(self) -> bool:
        """Whether all of it has a standard error."""
        return all(estimate.se is not None for estimate in (*self.reduced, *self.floor, self.reference))


def halved(run: Run, entry: str, anchors: Anchors, reference: Factored) -> Halved:
    """Returns what the stored images and calls of one setting give; raises UserError where they are too few."""
    parts = pieces(split_sets(run.samples(entry), run.features(entry)), anchors)
    times = times_of(run.timings(entry))
    first, second = (parts.images(cells_of(half)) for half in range(HALVES))
    return Halved(
        halves=_pair(parts, times.halves, reference, None),
        left_out=tuple(_pair(parts, times.halves, reference, group) for group in range(GROUPS)),
        time_error=times.error,
        images=(first, second),
    )


def unit_of(run: Run, anchors: Anchors, images: tuple[int, int]) -> Unit:
    """Returns the anchors of halves of so many prompted images; one without a value raises UserError."""
    decoder = best_batch(run.timings(REFERENCE), SCENARIO)
    if decoder is None:
        raise UserError("the reference decoder was not timed")
    floor, reduced = ([anchor(n) for n in images] for anchor in (anchors.floor, anchors.reduced))
    for estimate in (*floor, *reduced):
        if estimate.value is None:
            raise UserError(estimate.reason or "an anchor has no value")
    calls = replace(decoder.seconds_per_image, degrees_of_freedom=len(decoder.rows) - 1)
    return Unit(reduced=(reduced[0], reduced[1]), floor=(floor[0], floor[1]), reference=calls)


def cross_fitted_volume(settings: Sequence[Halved], unit: Unit) -> Estimate:
    """Returns the hypervolume with its error; without one where a time or an anchor has none."""
    pairs, scales = [setting.halves for setting in settings], unit.scales()
    left_out = [_points([setting.left_out[group] for setting in settings], scales) for group in range(GROUPS)]
    others = [*_anchors_shifted(pairs, unit), *_times_shifted(settings, scales)]
    found = cross_fitted_estimate(_points(pairs, scales), np.array(left_out), others, sum(settings[0].images))
    if unit.errors_known and all(setting.time_error is not None for setting in settings):
        return found
    return replace(found, se=None, se_method="none", degrees_of_freedom=None, reason=WITHOUT_ERROR)


def volume_not_parted(settings: Sequence[Halved], unit: Unit) -> float:
    """Returns the mean of both halves' own hypervolumes: where the half that chooses also scores."""
    return float(np.mean([hypervolume(half_K3) for half_K3 in _points([s.halves for s in settings], unit.scales())]))


def volume_of_one(setting: Halved, unit: Unit) -> float:
    """Returns the volume of a setting alone, averaged over the halves."""
    points_2K3 = _points([setting.halves], unit.scales())
    return float(np.prod(points_2K3, axis=2).mean())


def _pair(parts: Pieces, seconds: tuple[float, float], reference: Factored, without: int | None) -> Pair:
    first, second = (_raw(parts, seconds[half], reference, half, without) for half in range(HALVES))
    return first, second


def _raw(parts: Pieces, seconds: float, reference: Factored, half: int, without: int | None) -> Raw:
    cells_C = cells_of(half, without)
    # Modes are compared at the size of the whole half: a group left out must not move the anchor.
    size = int(parts.counts_CB[cells_of(half)].sum())
    return Raw(
        distance=parts.distance(cells_C, reference), diversity=parts.diversity(cells_C, size), seconds=seconds
    )  # fmt: skip


def _points(pairs: Sequence[Pair], scales: tuple[Scale, Scale]) -> Points:
    return np.array([[pair[half].point(scales[half]) for pair in pairs] for half in range(HALVES)])


def _anchors_shifted(pairs: Sequence[Pair], unit: Unit) -> Iterator[Shifted]:
    for up, down, estimates in (
        (unit.scales(reduced=1), unit.scales(reduced=-1), unit.reduced),
        (unit.scales(floor=1), unit.scales(floor=-1), unit.floor),
        (unit.scales(reference=1), unit.scales(reference=-1), (unit.reference,)),
    ):
        freedom = min(estimate.degrees_of_freedom or math.inf for estimate in estimates)
        yield Shifted(up_2K3=_points(pairs, up), down_2K3=_points(pairs, down), degrees_of_freedom=freedom)


def _times_shifted(settings: Sequence[Halved], scales: tuple[Scale, Scale]) -> Iterator[Shifted]:
    pairs = [setting.halves for setting in settings]
    for place, setting in enumerate(settings):
        up, down = ([*pairs[:place], setting.slowed(errors), *pairs[place + 1 :]] for errors in (1.0, -1.0))
        freedom = math.inf if setting.time_error is None else setting.time_error.degrees_of_freedom
        yield Shifted(up_2K3=_points(up, scales), down_2K3=_points(down, scales), degrees_of_freedom=freedom)


def _moved(value: float | None, se: float | None, errors: float) -> float:
    """Moves a positive number by some of its standard errors, on the logarithmic scale, where it stays positive."""
    assert value is not None, "what is moved was checked to be there"
    return value * math.exp(errors * (se or 0.0) / value)
