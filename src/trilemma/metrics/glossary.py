"""What each metric sees, what it misses and how it is gamed: three sentences, for people who know none of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from trilemma.strict_toml import read

FILE = Path(__file__).with_name("glossary.toml")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One metric, in one sentence each; they complete "Sees", "Misses" and "Gamed by"."""

    sees: str
    misses: str
    gamed: str


@dataclass(frozen=True, kw_only=True)
class _Table:
    metrics: dict[str, Entry]


@cache
def glossary() -> dict[str, Entry]:
    """Returns the entry of every metric of the catalogue."""
    return read(FILE, _Table).metrics
