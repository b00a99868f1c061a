"""Where the files of a published checkpoint are looked for. Nothing is fetched but by :func:`fetch`. No torch.

A card names them in its options, one for each role of its family (:data:`ROLES`), and says where they come from:
``hub = "owner/name"`` with a ``revision``, or ``from``, in words. They lie beside the card, or under a folder's name
(``folder``; else the repository's or the model's own) in ``$TRILEMMA_WEIGHTS``, in the suite's cache, or where the
hub's own client keeps them. A file that ``convert`` wrote stands in for its checkpoint: the name with ``.safetensors``.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from trilemma.errors import UserError
from trilemma.families.hub import MAIN, refused, snapshot
from trilemma.identity import file_digest
from trilemma.workspace import cache_folder

if TYPE_CHECKING:
    from trilemma.card import Card

VARIABLE = "TRILEMMA_WEIGHTS"
CONVERTED = ".safetensors"
CONFIGURATIONS = (".yaml", ".yml", ".json")  # hold no tensors: nothing stands in for them
DIGESTS = "sha256"  # options.sha256: file → sha256, as far as it is known
ROLES = {
    "var": ("transformer", "tokenizer"),
    "taming": ("config", "checkpoint"),
    "biggan": ("config", "checkpoint"),
}


def names(card: Card) -> dict[str, str]:
    """Returns the files of a card by their roles; none of one whose weights are random or the suite's own.

    Raises:
        UserError: some role is filled and another is not, or a name leads out of the folder.
    """
    roles = ROLES[card.family] if card.family in ROLES and not card.random_weights else ()
    given = {role: card.options[role] for role in roles if role in card.options}
    for role in roles if given else ():
        name, where = given.get(role), f"{card.path}: options.{role}"
        if not isinstance(name, str):
            raise UserError("must be the name of a file.", where=where)
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or "\\" in name:
            raise UserError(f"{name!r} is not inside the folder.", where=where)
    return given


def missing(card: Card) -> UserError | None:
    """Returns the error that using a card raises because a file is not at hand; None where all are."""
    absent = [name for name in names(card).values() if find(card, name) is None]
    return _absent(card, absent[0]) if absent else None


def locate(card: Card, role: str) -> Path:
    """Returns the file of a role.

    Raises:
        UserError: the card names none, or it is not at hand: the message says where it comes from and where it goes.
    """
    named = names(card)
    if role not in named:
        wanted = " and ".join(f"options.{name}" for name in ROLES[str(card.family)])
        raise UserError(f'the family "{card.family}" needs weights = "random", or {wanted}.', where=str(card.path))
    found = find(card, named[role])
    if found is None:
        raise _absent(card, named[role])
    return found


def find(card: Card, name: str) -> Path | None:
    """Returns the first place that has a file, or what ``convert`` made of it; unread and unchecked."""
    for place in places(card, name):
        converted = [] if place.suffix in CONFIGURATIONS else [place.with_suffix(CONVERTED)]
        for path in (*converted, place):
            if path.is_file():
                return path
    return None


def places(card: Card, name: str) -> list[Path]:
    """Returns where a file is looked for, in this order."""
    folder, hub = _folder(card), card.options.get("hub")
    given = os.environ.get(VARIABLE)
    homes = [Path(given).expanduser()] if given else []
    paths = [card.path / name, *(home / folder / name for home in [*homes, cache_folder() / "weights"])]
    fetched = snapshot(str(hub), str(card.options.get("revision", MAIN))) if hub else None
    return [*paths, fetched / name] if fetched else paths


def fetch(card: Card) -> Path:
    """Downloads the files of a card's repository into the hub's cache, and returns the folder of the first.

    Raises:
        UserError: the card names no repository, or the hub refuses.
    """
    from huggingface_hub import hf_hub_download

    hub = card.options.get("hub")
    if not hub or not names(card):
        hint = f"Its files come from {card.options['from']}." if "from" in card.options else None
        raise UserError(f'the card of "{card.name}" names no repository: options.hub.', where=str(card.path), hint=hint)
    revision = card.options.get("revision")
    try:
        found = [Path(hf_hub_download(hub, name, revision=revision)) for name in names(card).values()]
    except Exception as error:  # of the hub's client, or of the network
        raise refused(str(hub), error) from error
    return found[0].parent


def pinned(card: Card) -> Card:
    """Returns the card with the sha256 of every file that is at hand in its options: they are part of its revision.

    Raises:
        UserError: a file is not the one whose sha256 the card states.
    """
    found = {name: path for name in names(card).values() if (path := find(card, name)) is not None}
    if not found:
        return card
    known = dict(card.options.get(DIGESTS, {}))
    for name, path in found.items():
        known |= _digest(path, name, known)
    return replace(card, options=card.options | {DIGESTS: known})


def _digest(path: Path, name: str, known: dict[str, str]) -> dict[str, str]:
    own = name if path.name == PurePosixPath(name).name else str(PurePosixPath(name).with_suffix(CONVERTED))
    sha256 = file_digest(path)
    if known.get(own, sha256) != sha256:
        raise UserError(
            f"this is not the file of the card: its sha256 is {sha256}, the card's {known[own]}.", where=str(path)
        )
    return {own: sha256}


def _folder(card: Card) -> str:
    hub = card.options.get("hub")
    return str(card.options.get("folder") or (str(hub).rpartition("/")[2] if hub else card.model))


def _absent(card: Card, name: str) -> UserError:
    hub, folder = card.options.get("hub"), _folder(card)
    source = f"{hub} of the Hugging Face hub" if hub else str(card.options.get("from", "its authors"))
    hint = f"Get it from {source}; put it at {places(card, name)[0]}, or at {folder}/{name} in ${VARIABLE}."
    return UserError(f'"{card.name}" is not at hand: {name} is missing.', hint=hint)
