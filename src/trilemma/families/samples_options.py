"""What a card says of images that exist already, in its ``[options]``. No torch.

images = "out"              a folder, an .npz or .npy, a zip or tar archive; relative to the card's folder
sha256 = "…"                of the images' content (see ``ImageSource.digest``), where they must be these
assign = "order"            which image is which sample's: by "order", by "names", or by "prompts"
prompts = "metadata.csv"    for "prompts": a table with a line for each image (see ``samples_table``)
prompts_sha256 = "…"        of that table, where it must be this one
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from trilemma.errors import UserError, suggest
from trilemma.identity import file_digest

if TYPE_CHECKING:
    from trilemma.card import Card

Assign = Literal["order", "names", "prompts"]
WAYS: tuple[Assign, ...] = get_args(Assign)
DIGESTS = {"images": "sha256", "prompts": "prompts_sha256"}  # which option holds the digest of what
KNOWN = ("images", "assign", "prompts", *DIGESTS.values())


@dataclass(frozen=True, kw_only=True)
class SamplesOptions:
    """Where the images and their prompts are, as absolute paths, and how they are assigned."""

    images: Path
    assign: Assign
    prompts: Path | None


def samples_options(card: Card) -> SamplesOptions:
    """Returns the options of a card.

    Raises:
        UserError: an unknown option, one that is no text, a way that is none, or a table without being asked for.
    """
    where = f"{card.path}: options"
    for name, value in card.options.items():
        if name not in KNOWN:
            raise UserError(f'unknown key "{name}".', where=where, hint=suggest(name, KNOWN))
        if not isinstance(value, str):
            raise UserError(f"must be a text, got {value!r}.", where=f"{where}.{name}")
    if "images" not in card.options:
        raise UserError('the key "images" is missing.', where=where)
    table = card.options.get("prompts")
    way = card.options.get("assign", "order" if table is None else "prompts")
    if way not in WAYS:
        raise UserError(f'"{way}" is not possible here.', where=f"{where}.assign", hint=suggest(way, WAYS))
    if (way == "prompts") != (table is not None):
        raise UserError('a table of "prompts" goes with assign = "prompts".', where=where)
    return SamplesOptions(
        images=card.path / Path(card.options["images"]).expanduser(),
        assign=way,
        prompts=None if table is None else card.path / Path(table).expanduser(),
    )


def missing(card: Card) -> UserError | None:
    """Returns what is not there of images and table, as the error that loading them raises; None where both are."""
    options = samples_options(card)
    for path in (options.images, options.prompts):
        if path is not None and not path.exists():
            return UserError("there is no such file or folder.", where=str(path))
    return None


def pinned(card: Card) -> Card:
    """Returns the card with the digests of its images and its table in its options: they are its weights.

    Raises:
        UserError: an option is wrong, there are no images, or they are not those that the card states.
    """
    from trilemma.data.sources import open_source  # here: a list of models opens no images

    if missing(card) is not None:
        return card
    options = samples_options(card)
    found = {DIGESTS["images"]: open_source(options.images).digest()}
    if options.prompts is not None:
        found[DIGESTS["prompts"]] = file_digest(options.prompts)
    for name, digest in found.items():
        if card.options.get(name, digest) != digest:
            where = f"{card.path}: options.{name}"
            raise UserError(f"what lies here is not what the card says: its digest is {digest}.", where=where)
    return replace(card, options=card.options | found)
