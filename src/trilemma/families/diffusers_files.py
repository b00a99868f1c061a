"""The files of a diffusers pipeline: a folder, or a repository of the hub that was fetched before. No torch.

A card names a repository in its options: ``hub = "owner/name"``, ``revision`` (a commit, branch or tag; "main"), and
``variant`` ("fp16"), where the files have one. Without ``hub`` the pipeline lies beside the card. ``lora_from`` says
where the file of a ``lora`` can be had, and ``lora_sha256`` which one it is.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from trilemma.errors import UserError, suggest
from trilemma.families.hub import MAIN, snapshot
from trilemma.identity import file_digest

if TYPE_CHECKING:
    from trilemma.card import Card

INDEX = "model_index.json"  # what diffusers writes at the top of a pipeline's folder
DIGEST = "lora_sha256"
LENGTH, NEGATIVE = "max_sequence_length", "negative_prompt"
OPTIONS = (
    "hub", "revision", "variant", "scheduler", "lora", "lora_scale", "lora_from", DIGEST, "classes", LENGTH, NEGATIVE,
)  # fmt: skip


def missing(card: Card) -> UserError | None:
    """Returns what a card needs and this machine has not, as the error that using it raises; None where all is there.

    Of a repository its index is looked for: whether it was fetched whole shows when it is opened. An unknown option
    raises UserError.
    """
    if card.random_weights:
        return None
    for name in card.options:
        if name not in OPTIONS:
            raise UserError(f'unknown key "{name}".', where=f"{card.path}: options", hint=suggest(name, OPTIONS))
    folder = pipeline_folder(card)
    if folder is None or not (folder / INDEX).is_file():
        return _absent(card)
    lora = lora_file(card)
    if lora is not None and not lora.is_file():
        hint = f"Get it from {card.options['lora_from']}." if "lora_from" in card.options else None
        return UserError("the LoRA's file is missing.", where=str(lora), hint=hint)
    return None


def pinned(card: Card) -> Card:
    """Returns the card with the commit that lies here, and the sha256 of its LoRA: they are part of its revision.

    Raises:
        UserError: the LoRA is not the one that the card states.
    """
    if missing(card) is not None or card.random_weights:
        return card
    found: dict[str, str] = {}
    if option(card, "hub") is not None and (folder := pipeline_folder(card)) is not None:
        found["revision"] = folder.name
    if (lora := lora_file(card)) is not None:
        found[DIGEST] = _digest(lora, card)
    return replace(card, options=card.options | found)


def pipeline_folder(card: Card) -> Path | None:
    """Returns the folder of a card's pipeline, or None where its repository was never fetched."""
    hub = option(card, "hub")
    return card.path if hub is None else snapshot(hub, option(card, "revision") or MAIN)


def lora_file(card: Card) -> Path | None:
    """Returns the path of ``options.lora``, which is relative to the card's folder, or None."""
    lora = option(card, "lora")
    return None if lora is None else card.path / Path(lora).expanduser()


def option(card: Card, name: str) -> str | None:
    """Returns a text of the card's options; anything but a text raises UserError."""
    value = card.options.get(name)
    if value is not None and not isinstance(value, str):
        raise UserError(f"must be a text, got {value!r}.", where=f"{card.path}: options.{name}")
    return value


def _digest(lora: Path, card: Card) -> str:
    sha256 = file_digest(lora)
    if card.options.get(DIGEST, sha256) != sha256:
        raise UserError(f"this is not the card's LoRA: its sha256 is {sha256}.", where=str(lora))
    return sha256


def _absent(card: Card) -> UserError:
    hub = option(card, "hub")
    if hub is None:
        return UserError(f"this is no diffusers pipeline: it has no {INDEX}.", where=str(card.path))
    hint = f"Fetch it once: fetch {card.model}. Or name the folder with your copy of it in place of the model."
    return UserError(f'"{card.name}" is not at hand: {hub} of the Hugging Face hub was not fetched.', hint=hint)
