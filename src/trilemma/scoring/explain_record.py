"""The JSON document that an explanation is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from trilemma.scoring.explain import Document, Explanation
from trilemma.scoring.explain_moves import Moves

SCHEMA = "trilemma.explanation/1"


def as_document(a: Document, b: Document, found: Sequence[Explanation], moves: Mapping[int, Moves]) -> dict[str, Any]:
    """Returns explanations as plain data; ``moves`` are by the position of the explanation."""
    explanations = [
        _explanation(one) | {"moves": asdict(moves[i]) if i in moves else None} for i, one in enumerate(found)
    ]
    return {"schema": SCHEMA, "a": a.name, "b": b.name, "explanations": explanations}


def _explanation(one: Explanation) -> dict[str, Any]:
    return {
        "metric": one.metric,
        "a": {"owner": one.a.owner, "value": one.a.value, "se": one.a.se},
        "b": {"owner": one.b.owner, "value": one.b.value, "se": one.b.se},
        "difference": one.difference,
        "comparable": one.comparable,
        "first_field": one.first.field if one.first is not None else None,
        "differing": [asdict(field) for field in one.differing],
    }
