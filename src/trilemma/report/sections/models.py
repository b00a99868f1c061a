"""Each model as its card and its worker introduce it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trilemma.report import facts

if TYPE_CHECKING:
    from trilemma.report.record import Run


ID = "cards"
TITLE = "Models"


def content(run: Run) -> dict[str, Any]:
    """Returns one card per model."""
    return {"cards": [facts.model_card(run, model) for model in run.models]}
