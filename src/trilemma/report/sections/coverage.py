"""What became of everything that was planned, by model and set; and what was not measured, with the reasons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trilemma.report.coverage import HEADER, coverage, only_times
from trilemma.report.gaps import gaps

if TYPE_CHECKING:
    from trilemma.report.record import Run


ID = "coverage"
TITLE = "Coverage"


def content(run: Run) -> dict[str, Any]:
    """Returns the counts of every model, as a whole and by set, and what it lacks."""
    return {
        "header": HEADER,
        "unit": "processes" if only_times(run) else "images",
        "coverage": coverage(run),
        "gaps": gaps(run),
    }
