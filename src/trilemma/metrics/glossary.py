"""What each metric sees, what it misses and how it is gamed: three sentences, for people who know none of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from trilemma.strict_toml import dump, read

FILE = Path(__file__).with_name("glossary.toml")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One metric, in one sentence each; they complete "Sees", "Misses" and "Gamed by"."""

    sees: str
    misses: str
    gamed: str


@dataclass(frozen=True, kw_only=True)
class _Instead:
    """The sentences of an entry that are others over data whose truth is not known."""

    sees: str | None = None
    misses: str | None = None
    gamed: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Table:
    metrics: dict[str, Entry]
    elsewhere: dict[str, _Instead] = field(default_factory=dict)


@cache
def glossary(*, knows_truth: bool = True) -> dict[str, Entry]:
    """Returns the entry of every metric of the catalogue, as it reads over Scenes or over any other data."""
    table = read(FILE, _Table)
    if knows_truth:
        return table.metrics
    instead = {name: dump(one) for name, one in table.elsewhere.items()}
    return {name: replace(entry, **instead.get(name, {})) for name, entry in table.metrics.items()}
