"""Settings of a pickle as plain JSON: numbers, texts, lists and tables; what is none of them is named, not made."""

from __future__ import annotations

import math
from typing import Any

from trilemma.conversion.inert import Global, Made, Table, pairs_of

MOST_VALUES = 20_000
MOST_DEPTH = 20
LONGEST_TEXT = 10_000
LONGEST_KEY = 200
LEFT_OUT = "left out"


class Plain:
    """Turns values into JSON, up to a number of them: what refers to itself many times over would have no end."""

    def __init__(self, most: int = MOST_VALUES) -> None:
        self.left = most

    def of(self, value: Any, depth: int = 0) -> Any:
        """Returns the value as JSON."""
        self.left -= 1
        if self.left < 0 or depth > MOST_DEPTH:
            return LEFT_OUT
        if value is None or isinstance(value, (bool, int, float, str)):
            return _scalar(value)
        if isinstance(value, (list, tuple)):
            return [self.of(item, depth + 1) for item in value[: self.left + 1]]
        if isinstance(value, Table) or (isinstance(value, Made) and value.items.pairs):
            pairs = pairs_of(value)[: self.left + 1]
            return {_text(key): self.of(item, depth + 1) for key, item in pairs if _is_key(key)}
        return {LEFT_OUT: str(value.maker if isinstance(value, Made) else value)} if _is_named(value) else LEFT_OUT


def _scalar(value: bool | int | float | str | None) -> Any:
    if isinstance(value, str):
        return _text(value) if len(value) <= LONGEST_TEXT else LEFT_OUT
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if not isinstance(value, int) or value.bit_length() < 64 else LEFT_OUT


def _text(value: str) -> str:
    """Halves of characters, which a pickle can hold, cannot be written."""
    return value.encode("utf-8", "replace").decode("utf-8")


def _is_key(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_KEY


def _is_named(value: Any) -> bool:
    return isinstance(value.maker if isinstance(value, Made) else value, Global)
