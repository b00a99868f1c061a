"""Who is ahead of whom under a measure, where two measures disagree, and who is dominated by nobody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trilemma.report.names import brief

if TYPE_CHECKING:
    from trilemma.report.measures import Measure


def order(measure: Measure, models: Sequence[str]) -> list[str]:
    """Returns the models that have a number, best first; equal ones in the order in which they came."""
    return sorted((model for model in models if model in measure.rows), key=lambda model: -measure.value(model))


def ladder(measure: Measure, models: Sequence[str]) -> str:
    """Returns the order in words, best first; ≈ stands between neighbours that cannot be told apart, > elsewhere."""
    ordered = order(measure, models)
    words = [brief(model) for model in ordered[:1]]
    for before, after in zip(ordered, ordered[1:], strict=False):
        words += [">" if measure.apart(before, after) else "≈", brief(after)]
    return " ".join(words)


def flips(reference: Measure, measure: Measure, models: Sequence[str]) -> list[tuple[str, str]]:
    """Returns pairs (ahead, behind) under ``measure`` that stand the other way round under ``reference``.

    Both differences must exceed twice their standard error: an order within the noise is no order.
    """
    ordered = [model for model in order(measure, models) if model in reference.rows]
    pairs = [(ahead, behind) for place, ahead in enumerate(ordered) for behind in ordered[place + 1 :]]
    return [
        (ahead, behind)
        for ahead, behind in pairs
        if reference.value(ahead) < reference.value(behind)
        and reference.apart(ahead, behind)
        and measure.apart(ahead, behind)
    ]


def non_dominated(first: Measure, second: Measure, models: Sequence[str]) -> list[str]:
    """Returns the models than which no other is at least as good in both measures and better in one.

    They come from the worst to the best in the first measure, and so from the best to the worst in the second.
    """
    both = [model for model in models if model in first.rows and model in second.rows]
    points = {model: (first.value(model), second.value(model)) for model in both}
    kept = [model for model in both if not any(_dominates(points[other], points[model]) for other in both)]
    return sorted(kept, key=lambda model: points[model])


def _dominates(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one != other and one[0] >= other[0] and one[1] >= other[1]
