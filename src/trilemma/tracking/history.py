"""One series over all stored runs: which of its points may be joined, what changed between them, and where it steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

from trilemma.identity import canonical
from trilemma.metrics.catalog import METRICS, Metric
from trilemma.runner.speed import depends_on_machine
from trilemma.statistics.steps import Level, find_levels
from trilemma.tracking.series import IDENTITY_PARAMS

MACHINE = ("device", "machine", "cores", "memory_gib", "torch")
"""What there is to say of a class of hardware."""


@dataclass(frozen=True, kw_only=True, order=True)
class SeriesName:
    """A model's metric."""

    model: str
    metric: str

    def __str__(self) -> str:
        return f"{self.model}/{self.metric}"


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What one run says of a series.

    Attributes:
        created: UTC, ISO 8601; None where the record says nothing that is a time.
        value: None where there is none; ``status`` and ``reason`` then say why.
        hardware: the digest of the class of machine; None where the run ended before it was known.
        machine: the fields of :data:`MACHINE`.
        protocol, identity: what numbers share that may be compared; without a value ``identity`` may be empty.
    """

    run_id: str
    created: str | None
    protocol: str
    status: str
    reason: str | None = None
    value: float | None = None
    se: float | None = None
    ci: tuple[float, float] | None = None
    hardware: str | None = None
    machine: Mapping[str, Any] = field(default_factory=dict)
    identity: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Point:
    """An observation in its series.

    Attributes:
        line: points of one line are comparable, those of different ones are not; None without a value.
        baselines: that the run belongs to.
        changes: what is not as it was at the point before that has a value, one text each.
    """

    seen: Observation
    line: int | None
    baselines: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """The points, by their place in the history, that lie around one level; ``value`` is the level."""

    points: tuple[int, ...]
    value: float


@dataclass(frozen=True, kw_only=True)
class Step:
    """From the point at this place on, a series lies around another level. Advisory: no verdict rests on it."""

    at: int
    before: float
    after: float

    @property
    def relative(self) -> float | None:
        """The change as a share of what was before; None where a share says nothing."""
        return self.after / self.before - 1 if self.before > 0 < self.after else None


@dataclass(frozen=True, kw_only=True)
class History:
    """A series, oldest run first.

    Attributes:
        stretches: level by level, of every machine and line.
    """

    name: SeriesName
    points: tuple[Point, ...]
    stretches: tuple[Stretch, ...]
    steps: tuple[Step, ...]

    @property
    def metric(self) -> Metric:
        """What the catalogue says of it."""
        return METRICS[self.name.metric]

    @cached_property
    def step_at(self) -> dict[int, Step]:
        """The steps by their place."""
        return {step.at: step for step in self.steps}

    def newest(self, count: int | None) -> History:
        """Returns the last points alone; levels and steps stay those of the whole history."""
        first = 0 if count is None else max(0, len(self.points) - count)
        cut = ((tuple(place - first for place in s.points if place >= first), s.value) for s in self.stretches)
        return History(
            name=self.name,
            points=self.points[first:],
            stretches=tuple(Stretch(points=points, value=value) for points, value in cut if points),
            steps=tuple(replace(step, at=step.at - first) for step in self.steps if step.at >= first),
        )


def identity_of(metric: str, protocol: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what numbers of a series must share to be compared.

    Args:
        row: a number with ``metric_version``, ``extractor`` and ``params``, and its run's seed, samples and hardware.
    """
    fields = {"protocol": protocol, "metric version": row["metric_version"]}
    if depends_on_machine(metric):
        fields["hardware"] = row["hardware"]
    elif METRICS[metric].axis != "about":
        fields |= {"seed": row["seed"], "images per set": row["samples"] or "all", "extractor": row["extractor"]}
    return fields | {name: row["params"][name] for name in IDENTITY_PARAMS if name in row["params"]}


def history(name: SeriesName, seen: Iterable[Observation], baselines: Mapping[str, Sequence[str]]) -> History:
    """Returns a series.

    Args:
        seen: what its runs say, oldest first. A run without a value counts where its protocol measures the series.
        baselines: the names of the baselines that a run belongs to, by run.
    """
    observations = list(seen)
    protocols = {one.protocol for one in observations if one.value is not None}
    points = _points([one for one in observations if one.protocol in protocols], baselines)
    found = [(places, _levels(points, places)) for places in _alike(points)]
    stretches = [
        Stretch(points=tuple(places[level.start : level.stop]), value=level.value)
        for places, levels in found
        for level in levels
    ]
    steps = [
        Step(at=places[after.start], before=before.value, after=after.value)
        for places, levels in found
        for before, after in pairwise(levels)
    ]
    return History(
        name=name,
        points=tuple(points),
        stretches=tuple(stretches),
        steps=tuple(sorted(steps, key=lambda step: step.at)),
    )


def _points(observations: Sequence[Observation], baselines: Mapping[str, Sequence[str]]) -> list[Point]:
    lines: dict[str, int] = {}
    points: list[Point] = []
    before: Observation | None = None
    for one in observations:
        line = None if one.value is None else lines.setdefault(canonical(one.identity), len(lines))
        known = line is not None and before is not None
        changes = tuple(_changes(before, one)) if known and before is not None else ()
        points.append(Point(seen=one, line=line, baselines=tuple(baselines.get(one.run_id, ())), changes=changes))
        before = one if line is not None else before
    return points


def _changes(before: Observation, after: Observation) -> Iterable[str]:
    """Yields machine first: another one explains what follows."""
    if before.hardware != after.hardware:
        differing = [name for name in MACHINE if before.machine.get(name) != after.machine.get(name)]
        yield from (_change(name, before.machine.get(name), after.machine.get(name)) for name in differing)
        if not differing:
            yield "another class of machine"
    for name in {**before.identity, **after.identity}:
        if name != "hardware" and before.identity.get(name) != after.identity.get(name):
            yield _change(name, before.identity.get(name), after.identity.get(name))


def _change(name: str, before: object, after: object) -> str:
    return f"{name.replace('_gib', ' (GiB)')} {_short(before)} → {_short(after)}"


def _short(value: object) -> str:
    """A digest of a network or of real images is told apart by its beginning."""
    role, _, digest = str(value).rpartition(":")
    text = f"{role}:{digest[:8]}" if role else str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"


def _alike(points: Sequence[Point]) -> list[list[int]]:
    """Returns the places of the points of each line and machine: only these can step."""
    groups: dict[tuple[int, str | None], list[int]] = {}
    for place, point in enumerate(points):
        if point.line is not None:
            groups.setdefault((point.line, point.seen.hardware), []).append(place)
    return list(groups.values())


def _levels(points: Sequence[Point], places: Sequence[int]) -> list[Level]:
    seen = [points[place].seen for place in places]
    return find_levels([one.value or 0.0 for one in seen], [one.se for one in seen])
