"""What a metric is called and where it stands in the tables: the suite's catalogue, seen from the report."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from trilemma.errors import UserError
from trilemma.metrics.catalog import METRICS
from trilemma.metrics.plugin import brought

AXIS_TITLES = {
    "quality": "Quality",
    "diversity": "Diversity",
    "speed": "Speed",
    "about": "About the model",
    "": "Other",
}
_RANK = {name: rank for rank, name in enumerate(METRICS)}


@dataclass(frozen=True, kw_only=True)
class Described:
    """A metric's name, title, axis (a key of :data:`AXIS_TITLES`) and one-sentence description."""

    name: str
    title: str
    axis: str
    description: str


def describe(name: str) -> Described:
    """Returns what the catalogue or a plug-in says of a metric; one that both lack keeps its name."""
    with suppress(UserError):  # a record can be read without the plug-in that measured it
        brought(name)
    known = METRICS.get(name)
    if known is None:
        return Described(name=name, title=name, axis="", description="")
    return Described(name=name, title=known.title, axis=known.axis, description=known.description)


def rank(name: str) -> int:
    """Returns the metric's place in the catalogue; those that it lacks come last."""
    return _RANK.get(name, len(_RANK))
