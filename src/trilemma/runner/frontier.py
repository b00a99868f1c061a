"""The frontier of each model of a sweep: which settings no other dominates, and how much of the cube they take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from trilemma.card import SEPARATOR
from trilemma.errors import UserError
from trilemma.metrics.covariance_roots import factored
from trilemma.runner.anchors import Anchors
from trilemma.runner.cross_fit import (
    Halved,
    Unit,
    cross_fitted_volume,
    halved,
    unit_of,
    volume_not_parted,
    volume_of_one,
)
from trilemma.runner.trades import number_of, trades
from trilemma.statistics.frontier import dominators, hypervolume
from trilemma.statistics.jackknife import GROUPS
from trilemma.store.frontier import AXES, TRADED, Frontier, ModelFrontier, Number, Setting
from trilemma.store.run import Run

METRICS = {**{axis: f"score_{axis}" for axis in AXES}, **{name: name for name in TRADED}}
Swept = Mapping[str, Mapping[str, Sequence[float | int]]]


@dataclass(frozen=True, kw_only=True)
class _Volumes:
    """What is said of a model's hypervolume, and the images of a half."""

    hypervolume: Number
    of_default: float | None = None
    not_parted: float | None = None
    images: int | None = None


def frontier(run: Run, anchors: Anchors, swept: Swept, after_each: Callable[[], None]) -> Frontier:
    """Returns the frontier of every model of a sweep; ``after_each`` is called after each setting with scores."""
    models, images = [], 0
    for model, knobs in swept.items():
        settings = _settings(run, model)
        points = [point for setting in settings if (point := setting.point()) is not None]
        found = _volumes(run, anchors, settings, after_each)
        images = max(images, found.images or 0)
        models.append(
            ModelFrontier(
                model=model,
                knobs={name: tuple(values) for name, values in knobs.items()},
                settings=tuple(settings),
                hypervolume=found.hypervolume,
                of_default=found.of_default,
                not_parted=found.not_parted,
                whole=hypervolume(points) if points else None,
                trades=tuple(trades(run, list(knobs), settings)),
            )
        )
    return Frontier(run_id=run.record.run_id, images_of_half=images, groups=GROUPS, models=tuple(models))


def _settings(run: Run, model: str) -> list[Setting]:
    """Returns the settings in the order of the run, each on the frontier, or dominated, or without scores."""
    plain = [_setting(run, name) for name in run.models if name.partition(SEPARATOR)[0] == model]
    placed = [setting for setting in plain if setting.point() is not None]
    by_K = dominators(np.array([setting.point() for setting in placed]).reshape(-1, len(AXES)))
    better = {one.entry: placed[other].entry for one, other in zip(placed, by_K, strict=True) if other >= 0}
    return [
        replace(one, state="dominated", dominated_by=better[one.entry]) if one.entry in better else one
        for one in plain
    ]  # fmt: skip


def _setting(run: Run, entry: str) -> Setting:
    numbers = {name: _number(run, entry, metric) for name, metric in METRICS.items()}
    lacking = next((f"{name}: {numbers[name].reason}" for name in AXES if numbers[name].value is None), None)
    return Setting(
        entry=entry,
        knobs=run.record.models[entry].get("info", {}).get("knobs", {}),
        default=SEPARATOR not in entry,
        state="frontier" if lacking is None else "no scores",
        numbers=numbers,
        reason=lacking,
    )


def _number(run: Run, entry: str, metric: str) -> Number:
    row = run.row(entry, metric)
    if row is None:
        return Number(reason="the protocol does not measure it")
    low, high = row.ci or (None, None)
    return Number(value=row.value, se=row.se, low=low, high=high, reason=row.reason)


def _volumes(run: Run, anchors: Anchors, settings: Sequence[Setting], after_each: Callable[[], None]) -> _Volumes:
    reference = factored(anchors.moments)
    found: dict[str, Halved] = {}
    for name in (setting.entry for setting in settings if setting.point() is not None):
        try:
            found[name] = halved(run, name, anchors, reference)
        except UserError as error:
            return _Volumes(hypervolume=Number(reason=f"{name}: {error}"))
        after_each()
    if not found:
        return _Volumes(hypervolume=Number(reason="no setting has all three scores"))
    try:
        unit = unit_of(run, anchors, next(iter(found.values())).images)
        return _told(found, settings, unit)
    except UserError as error:
        return _Volumes(hypervolume=Number(reason=str(error)))


def _told(found: Mapping[str, Halved], settings: Sequence[Setting], unit: Unit) -> _Volumes:
    default = next((setting.entry for setting in settings if setting.default), "")
    volume, lacking = number_of(cross_fitted_volume(list(found.values()), unit)), len(settings) - len(found)
    notes = [f"{lacking} of {len(settings)} settings have no scores"] if lacking else []
    notes += [volume.reason] if volume.reason else []
    return _Volumes(
        hypervolume=replace(volume, reason="; ".join(notes) or None),
        of_default=volume_of_one(found[default], unit) if default in found else None,
        not_parted=volume_not_parted(list(found.values()), unit),
        images=max(next(iter(found.values())).images),
    )
