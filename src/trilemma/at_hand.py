"""What a model needs and this machine has: asked before anything is loaded, and fetched when somebody wants it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from trilemma.card import FILE_NAME, Card
from trilemma.errors import UserError
from trilemma.families.interpreters import interpreter
from trilemma.families.table import FAMILIES, untrained
from trilemma.protocol import Protocol
from trilemma.registry import cards
from trilemma.targets import imported
from trilemma.workspace import Workspace


def competing(workspace: Workspace, protocol: Protocol | None = None) -> list[str]:
    """Returns the names of the models that can be judged here, or under a protocol: of its data, and of its size.

    Not those with drawn weights, and not those that lack something on this machine.
    """
    found = cards(workspace).items()
    judged = {name: card for name, card in found if not card.random_weights and _fits(card, protocol)}
    return [name for name, card in judged.items() if missing(card) is None]


def _fits(card: Card, protocol: Protocol | None) -> bool:
    if protocol is None:
        return True
    return card.data == protocol.data and (protocol.outputs == "resized" or card.resolution == protocol.resolution)


def missing(card: Card) -> UserError | None:
    """Returns what a card needs and this machine has not, as the error that loading it would raise; else None.

    Nothing is read but folders: whether files are the right ones is seen when they are loaded.
    """
    if (absent := card.missing_weights() or untrained(card)) is not None:
        return absent
    try:
        if card.python is not None:
            interpreter(card)
        elif (family := FAMILIES.get(card.family or "")) is not None and family.missing is not None:
            absent = imported(family.missing, _where(card))(card)
    except UserError as error:
        return error
    return absent


def refuse_missing(wanted: Iterable[Card]) -> None:
    """Raises UserError where something that a model needs is not at hand: before anything else is measured."""
    for card in wanted:
        if (absent := missing(card)) is not None:
            raise absent


def refuse_untimed(wanted: Iterable[Card]) -> None:
    """Raises UserError where a model's images exist already: nothing is left that could be timed."""
    for card in wanted:
        family = FAMILIES.get(card.family or "")
        if family is not None and not family.timed:
            raise UserError(f'"{card.name}" has nothing to time: its images exist already.', where=_where(card))


def fetch(card: Card) -> Path:
    """Downloads what a card needs and returns where it lies; raises UserError where its family fetches nothing."""
    family = FAMILIES.get(card.family or "")
    if family is None or family.fetch is None:
        raise UserError(f'"{card.name}" names nothing that could be fetched.', where=_where(card))
    folder: Path = imported(family.fetch, _where(card))(card)
    return folder


def refuse_random(wanted: Iterable[Card]) -> None:
    """Raises UserError where a model's weights are drawn: it can be timed, and nothing else."""
    for card in wanted:
        if card.random_weights:
            raise UserError(
                f'"{card.name}" has random weights: it takes part in speed only.', hint=f"Time it: speed {card.name}."
            )


def _where(card: Card) -> str:
    return str(card.path / FILE_NAME)
