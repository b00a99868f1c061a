"""Which metrics the glossary of a report explains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trilemma.metrics.glossary import glossary
from trilemma.report import tables

if TYPE_CHECKING:
    from trilemma.report.record import Run


def explained(run: Run) -> list[str]:
    """Returns the metrics that the report of a run speaks of, in the glossary's order; one that it lacks is left out.

    The table of scores names all of them, whether the record holds them or not.
    """
    named = {row.metric for row in run.rows}
    if tables.is_scored(run):
        named |= set(tables.AXES.values())
    return [name for name in glossary() if name in named]
