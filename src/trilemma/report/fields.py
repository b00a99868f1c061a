"""Free tables (a card's training, an environment) as pairs of texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trilemma.report.numbers import quantity


def flatten(table: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Returns a nested table as (dotted key, text) pairs in its own order, empty values left out."""
    pairs: list[tuple[str, str]] = []
    for key, value in table.items():
        if isinstance(value, Mapping):
            pairs += flatten(value, f"{prefix}{key}.")
        elif value is not None and value != "" and value != []:
            pairs.append((f"{prefix}{key}", scalar(value)))
    return pairs


def scalar(value: object) -> str:
    """Returns a value of a free table as text: numbers with separators, lists joined by commas."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(_item(entry) for entry in value)
    return quantity(value, None, "") if isinstance(value, (int, float)) else str(value)


def _item(entry: object) -> str:
    return " ".join(f"{key} {text}" for key, text in flatten(entry)) if isinstance(entry, Mapping) else scalar(entry)
