"""What a pickle holds, as data. Nothing of it is imported, called or built: it only says what would have been."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

LONGEST_WORD = 200


def printable(text: str) -> str:
    """Returns the text on one line and without what cannot be written, such as halves of characters."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


@dataclass(frozen=True, slots=True)
class Global:
    """A name that unpickling would have imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return printable(f"{self.module[:LONGEST_WORD]}.{self.name[:LONGEST_WORD]}")


@dataclass(slots=True, eq=False)
class Table:
    """A dictionary, as pairs: keys of a hostile pickle are never hashed, for that can take for ever."""

    pairs: list[tuple[Any, Any]] = field(default_factory=list)

    def get(self, name: str) -> Any:
        """Returns the last value whose key is this text, or None."""
        return next((value for key, value in reversed(self.pairs) if type(key) is str and key == name), None)


@dataclass(slots=True, eq=False)
class Made:
    """What a call or an instantiation would have made.

    Attributes:
        maker: what would have been called, most often a :class:`Global`.
        arguments, keywords: what with.
        state: what would have been its attributes, or handed to its ``__setstate__``.
        items: what would have been set by key.
        elements: what would have been appended.
    """

    maker: Any
    arguments: tuple[Any, ...] = ()
    keywords: Any = None
    state: Any = None
    items: Table = field(default_factory=Table)
    elements: list[Any] = field(default_factory=list)

    def is_of(self, *names: str) -> bool:
        """Whether its maker is one of these dotted names."""
        return isinstance(self.maker, Global) and str(self.maker) in names


@dataclass(slots=True, eq=False)
class Stored:
    """What the pickle refers to and keeps elsewhere in the file."""

    key: Any


def pairs_of(value: Any) -> list[tuple[Any, Any]]:
    """Returns the pairs of a dictionary or of an object that would have been like one; [] of anything else."""
    if isinstance(value, Made):
        value = value.items
    return value.pairs if isinstance(value, Table) else []


def get(value: Any, name: str) -> Any:
    """Returns what a dictionary, or an object that would have been like one, holds under a text; else None."""
    return Table(pairs_of(value)).get(name)
