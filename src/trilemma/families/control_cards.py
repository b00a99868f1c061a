"""A control over another data set than Scenes: which pictures of it are shown, as options on its card. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from trilemma.card import FILE_NAME
from trilemma.errors import UserError
from trilemma.strict_toml import build

if TYPE_CHECKING:
    from trilemma.card import Card
    from trilemma.protocol import Protocol

Kind = Literal["real", "reduced", "noisy", "mode-drop", "memorizer"]
MEMORIZER = "memorizer"
SHRINKING = 8
"""`reduced` is shrunk to an eighth of its side, 4x4 of 32x32, and enlarged again."""
DESCRIPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "real": "Real pictures that no model was trained on: the ceiling of quality and diversity.",
        "reduced": "Real pictures shrunk to an eighth of their side and back: the floor of the quality score.",
        "noisy": "Real pictures with grain of 24 grey levels: quality is hurt, diversity is not.",
        "mode-drop": "A quarter of the classes without a prompt, and of each class the darker half of its pictures.",
        MEMORIZER: "Pictures of the training split: the copy test must catch it.",
    }
)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a control draws from.

    Attributes:
        data: a data set's name, or a folder's path relative to the card's.
        split: real pictures that are neither trained on nor compared with.
        start: how many pictures of each class are passed over, since models are compared with these.
        training_split, training_images: what `memorizer` shows.
    """

    kind: Kind
    data: str
    split: str
    start: int
    training_split: str
    training_images: int


def over(card: Card, protocol: Protocol) -> Card:
    """Returns the card as it takes part in a protocol: over other data than Scenes a control shows pictures of these.

    Raises:
        UserError: the protocol names no real images that the control could show.
    """
    if card.family != "controls" or protocol.knows_truth:
        return card
    kind, reference = str(card.options.get("kind")), protocol.reference
    if reference is None or not (reference.training_images if kind == MEMORIZER else reference.floor_images):
        raise UserError("the protocol sets no real images aside that this control could show.", where=card.name)
    within = [entry.images_per_prompt for entry in protocol.sets if entry.prompts == "repeated" and entry.takes_classes]
    shown = {
        "kind": kind,
        "data": protocol.data,
        "split": reference.floor_split,
        "start": max(within, default=0),
        "training_split": reference.training_split,
        "training_images": reference.training_images,
    }
    return replace(
        card,
        description=DESCRIPTIONS.get(kind, card.description),
        resolution=protocol.resolution,
        data=protocol.data,
        options=shown,
        path=protocol.home or card.path,
    )


def shown_of(card: Card) -> Shown | None:
    """Returns what a control shows of another data set; None of one that draws Scenes."""
    if "data" not in card.options:
        return None
    return build(Shown, dict(card.options), where=f"{card.path / FILE_NAME}: options")


def missing(card: Card) -> UserError | None:
    """Returns the error that says which pictures are not at hand; None where all are."""
    shown = shown_of(card)
    if shown is None:
        return None
    from trilemma.data.datasets import count_pictures  # it brings in numpy
    from trilemma.data.of_protocol import data_at

    split = shown.training_split if shown.kind == MEMORIZER else shown.split
    try:
        count_pictures(data_at(shown.data, card.path), split)
    except UserError as error:
        return UserError(error.what, where=card.name, hint=error.hint)
    return None
