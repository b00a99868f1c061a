"""Images planned, made and failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trilemma.report import tables

if TYPE_CHECKING:
    from trilemma.report.record import Run


ID = "coverage"
TITLE = "Coverage"


def content(run: Run) -> dict[str, Any]:
    """Returns the counts of every model."""
    return {"coverage": tables.coverage(run)}
