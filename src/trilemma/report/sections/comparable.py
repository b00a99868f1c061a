"""Whether the numbers lie in the bands that the source of published ones accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trilemma.report import comparable

if TYPE_CHECKING:
    from trilemma.report.record import Run

ID = "comparable"
TITLE = "Accepted bands"


def content(run: Run) -> dict[str, Any] | None:
    """Returns a line for each band and model; None for a protocol without bands."""
    lines = comparable.band_lines(run)
    return {"bands": {"caption": comparable.CAPTION, "lines": lines}} if lines else None
