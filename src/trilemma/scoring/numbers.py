"""The numbers of one preset from the features of two sides. No network runs here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from trilemma.errors import UserError
from trilemma.features.presets import MetricUse, Preset
from trilemma.scoring.comparison import Comparison
from trilemma.scoring.feature_set import FeatureSet
from trilemma.scoring.measures import measure
from trilemma.scoring.row import Floor, Number, Row
from trilemma.statistics.estimate import missing
from trilemma.statistics.intervals import LEVEL

VERSION = 1
"""Raised when the same images would give another number."""


def score_features(
    preset: Preset,
    real: FeatureSet,
    fake: FeatureSet,
    *,
    extractor: Mapping[str, Any],
    resize: int | None = None,
    seed: int = 0,
    floor: bool = True,
) -> list[Row]:
    """Returns every number of a preset, in the preset's order; one that cannot be had is a row with the reason.

    Args:
        real: the reference. fake: what is judged.
        extractor: the identity of the network that made both.
        resize: what the images were resized to before; recorded, nothing more.
        seed: cuts the real images for the floor, and chooses those that as many generated ones are compared with.
        floor: False leaves out what real images get, which takes about as long as the numbers themselves.
    """
    uses = metrics_of(preset, fake)
    numbers = {use.name: number for use, number in zip(uses, _numbers(real, fake, uses, seed), strict=True)}
    floors = _floors(real, fake, uses, seed) if floor else {}
    shared = {"extractor": dict(extractor), "resize": resize}
    return [
        _row(
            preset.name,
            use,
            numbers[use.name],
            floors.get(use.name, Floor(reason="not asked for")),
            _identity(use, numbers[use.name], shared, real, fake) | {"seed": seed},
        )
        for use in uses
    ]


def metrics_of(preset: Preset, fake: FeatureSet) -> tuple[MetricUse, ...]:
    """Returns a preset's metrics; where prompts have several images, diversity within a prompt beside that of all."""
    if fake.groups is None:
        return preset.metrics
    within = tuple(
        MetricUse(
            name=f"{use.name}_within_prompts",
            function="within_prompt_vendi",
            output=use.output,
            parameters=use.parameters,
        )
        for use in preset.metrics
        if use.function == "vendi_score"
    )
    return preset.metrics + within


def _numbers(real: FeatureSet, fake: FeatureSet, uses: tuple[MetricUse, ...], seed: int) -> list[Number]:
    sides = Comparison(real=real, fake=fake, uses=uses, seed=seed)
    return [_number(sides, use) for use in uses]


def _number(sides: Comparison, use: MetricUse) -> Number:
    """A metric that refuses its input refuses for itself alone: the others stand."""
    try:
        return measure(use.function).compute(sides, use).finite()
    except UserError as error:
        return Number(estimate=missing(str(error), n=sides.fake.count or 0))


def _floors(real: FeatureSet, fake: FeatureSet, uses: tuple[MetricUse, ...], seed: int) -> dict[str, Floor]:
    n = fake.count or 0
    alone = tuple(use for use in uses if measure(use.function).needs == "nothing")
    against = tuple(use for use in uses if use not in alone)
    return _floors_of(real, alone, n, n, seed) | _floors_of(real, against, n, 2 * n, seed)


def _floors_of(real: FeatureSet, uses: tuple[MetricUse, ...], n: int, needed: int, seed: int) -> dict[str, Floor]:
    """Returns what ``n`` of the real images get against all others, where there are as many as needed."""
    available = len(next(iter(real.arrays.values()))) if real.arrays else 0
    if not uses or available < needed:
        return {use.name: Floor(reason=_no_floor(real, needed, available)) for use in uses}
    order = np.random.default_rng(seed).permutation(available)
    first, rest = real.rows(np.sort(order[:n])), real.rows(np.sort(order[n:]))
    numbers = _numbers(rest, first, uses, seed)
    return {use.name: _floor(number) for use, number in zip(uses, numbers, strict=True)}


def _no_floor(real: FeatureSet, needed: int, available: int) -> str:
    if not real.arrays:
        return "needs real images; only statistics of them are given"
    return f"needs {needed:,} real images; there are {available:,}"


def _floor(number: Number) -> Floor:
    estimate = number.estimate
    reason = None if estimate.value is not None else estimate.reason
    return Floor(value=estimate.value, se=estimate.se, n=estimate.n, n_reference=number.n_reference, reason=reason)


def _identity(
    use: MetricUse, number: Number, shared: Mapping[str, Any], real: FeatureSet, fake: FeatureSet
) -> dict[str, Any]:
    return {
        "function": use.function,
        "parameters": _plain(dict(use.parameters) | dict(number.parameters)),
        "output": use.output,
        "version": VERSION,
        **shared,
        "n": number.estimate.n,
        "n_reference": number.n_reference,
        "real": real.digest,
        "fake": fake.digest,
        "prompts": fake.prompts if measure(use.function).reads_prompts else None,
        **({} if fake.nearest is None else {"training": fake.nearest.training}),
    }


def _row(preset: str, use: MetricUse, number: Number, floor: Floor, identity: Mapping[str, Any]) -> Row:
    estimate = number.estimate
    return Row(
        preset=preset,
        metric=use.name,
        direction=measure(use.function).direction,
        value=estimate.value,
        se=estimate.se,
        se_method=estimate.se_method,
        ci=estimate.interval(LEVEL),
        n=estimate.n,
        n_reference=number.n_reference,
        status=estimate.status,
        reason=estimate.reason,
        floor=floor,
        identity=identity,
        details=number.details,
    )


def _plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Returns parameters as JSON has them: sorted, and lists for tuples."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in sorted(parameters.items())}
