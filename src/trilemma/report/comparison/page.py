"""The page of two runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trilemma.report import prose, shell
from trilemma.report.comparison import changed_images, differing, outcome, verdicts

if TYPE_CHECKING:
    from trilemma.report.comparison.contents import Contents
    from trilemma.report.comparison.pair import Pair

SECTIONS = (verdicts, changed_images, differing)


def html(told: Contents) -> str:
    """Returns the whole page."""
    pair = told.pair
    marks = {
        "controls": [model for model in pair.models if pair.is_control(model)],
        "random_weights": [model for model in pair.models if pair.is_random(model)],
    }
    head = shell.Head(
        title=title(pair),
        runs=[("run", pair.b.record.run_id), ("against", pair.a.record.run_id)],
        skip="the verdicts",
        headline=outcome.headline(pair),
        statements=statements(pair),
        stamps=outcome.stamps(pair),
    )
    return shell.page(head, list(shell.sections_of(SECTIONS, told, marks)))


def title(pair: Pair) -> str:
    """Returns the page's title."""
    return f"What changed: {prose.protocol_title(pair.b)}"


def statements(pair: Pair) -> list[str]:
    """Returns what ran on either side."""
    sides = (("A, the baseline", pair.a), ("B, the candidate", pair.b))
    return [f"{name}, {run.record.run_id}: {prose.statement(run)}" for name, run in sides]
