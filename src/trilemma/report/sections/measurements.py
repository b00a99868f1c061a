"""Every measured number, grouped by axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trilemma.report import tables

if TYPE_CHECKING:
    from trilemma.report.record import Run


ID = "raw"
TITLE = "Measurements"


def content(run: Run) -> dict[str, Any]:
    """Returns the table of all measurements."""
    return {"raw": tables.raw_table(run)}
