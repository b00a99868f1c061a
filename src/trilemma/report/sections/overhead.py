"""What the suite itself costs beside a model's calls and its measuring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trilemma.report import overhead

if TYPE_CHECKING:
    from trilemma.report.record import Run

ID = "overhead"
TITLE = "Overhead"


def content(run: Run) -> dict[str, Any] | None:
    """Returns one line per model; None for a record that says nothing of it."""
    lines = overhead.overheads(run)
    if not lines:
        return None
    told = {"caption": overhead.CAPTION, "columns": overhead.COLUMNS, "lines": lines, "closing": overhead.closing(run)}
    return {"overhead": told}
