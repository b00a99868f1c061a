"""What people say about these families, with a verdict for the models of this run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trilemma.report.claim_texts import AXES, SIGNS, claim_texts
from trilemma.report.tables import SCORE_TITLES

if TYPE_CHECKING:
    from trilemma.report.record import Run


ID = "claims"
TITLE = "Claims"


def content(run: Run) -> dict[str, Any] | None:
    """Returns the claims in words; None where the workspace states none, or none is about this run."""
    texts = claim_texts(run)
    return None if texts is None else {"texts": texts, "signs": SIGNS, "axes": [SCORE_TITLES[axis] for axis in AXES]}
