"""A coarse-to-fine autoregressive model: multi-scale residual quantisation and next-scale prediction (VAR)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trilemma.card import Card
    from trilemma.families.var.model import Var


def load(card: Card, device: str) -> Var:
    """Builds the model that a card describes."""
    from trilemma.families.var.model import Var

    return Var(card, device)
