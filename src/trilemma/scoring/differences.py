"""Where two pieces of plain data differ: the fields by their paths, in the order of the first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ABSENT = "(absent)"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One field that differs: its path, such as ``extractor.resize.kernel``, and what it is on either side."""

    field: str
    a: Any
    b: Any


def differences(a: Any, b: Any, path: str = "") -> Iterator[Difference]:
    """Yields the leaves in which two tables of plain data differ; lists are compared as wholes."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for name in dict.fromkeys([*a, *b]):
            inner = f"{path}.{name}" if path else str(name)
            yield from differences(a.get(name, ABSENT), b.get(name, ABSENT), inner)
    elif _plain(a) != _plain(b):
        yield Difference(field=path, a=a, b=b)


def _plain(value: Any) -> Any:
    """A tuple becomes a list when it is stored as JSON, and is the same thing before and after."""
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
