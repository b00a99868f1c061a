"""What failed, and what was left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trilemma.report import tables

if TYPE_CHECKING:
    from trilemma.report.record import Run


ID = "failures"
TITLE = "Failures"


def content(run: Run) -> dict[str, Any]:
    """Returns errors and omissions."""
    return {"failures": tables.failures(run), "omissions": tables.omissions(run)}
