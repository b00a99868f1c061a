"""Which models of a run play a role."""

from __future__ import annotations

from trilemma.card import SEPARATOR
from trilemma.claims.stated import Role
from trilemma.store.run import Run


def members(role: Role, run: Run) -> tuple[str, ...]:
    """Returns the contestants that play a role, in the order of the run; those that failed are among them.

    A sentence about a family speaks of its models as their cards set them: a variant counts only where the model that
    it is made of did not take part.
    """
    return tuple(model for model in run.models if _plays(role, run, model) and not _stood_for(model, run.models))


def _plays(role: Role, run: Run, model: str) -> bool:
    card = run.record.cards.get(model, {})
    if card.get("control"):
        return False
    said = run.record.models[model].get("info") or {}
    family = card.get("family") or said.get("family")
    return family in role.families or model.partition(SEPARATOR)[0] in role.models


def _stood_for(model: str, models: list[str]) -> bool:
    plain, separator, _ = model.partition(SEPARATOR)
    return bool(separator) and plain in models
