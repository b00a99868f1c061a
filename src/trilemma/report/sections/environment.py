"""Where and with what the run was made, and the digests of its series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trilemma.report import facts

if TYPE_CHECKING:
    from trilemma.report.record import Run


ID = "environment"
TITLE = "Environment"


def content(run: Run) -> dict[str, Any]:
    """Returns the environment and the digests."""
    return {"identity": facts.identity(run), "environment": facts.environment(run)}
