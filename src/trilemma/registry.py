"""Names to cards to generators: typed, lazy and loud."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from trilemma.card import FILE_NAME, PRECISIONS, SEPARATOR, Card, load_card
from trilemma.errors import UserError, suggest
from trilemma.families.control_cards import over
from trilemma.families.diffusers_cards import hub_card, pipeline_card
from trilemma.families.diffusers_files import INDEX
from trilemma.families.table import FAMILIES, untrained
from trilemma.generator import Generator, Knob, Preparable
from trilemma.plugins import Plugin, find, folder, plugins
from trilemma.protocol import Protocol
from trilemma.targets import imported
from trilemma.variant import variant
from trilemma.workspace import Workspace, own_workspace

OWN_INTERPRETER = "trilemma.families.own_interpreter:load"  # loads a factory that wants a Python of its own


def cards(workspace: Workspace) -> dict[str, Card]:
    """Returns the workspace's models by name, in alphabetical order.

    Raises:
        UserError: a card cannot be read, or its name is not that of its folder.
    """
    return {name: _named_card(workspace.models / name / FILE_NAME) for name in model_names(workspace)}


def model_names(workspace: Workspace) -> list[str]:
    """Returns the names of the workspace's models, in alphabetical order, without reading their cards."""
    return sorted(path.parent.name for path in workspace.models.glob(f"*/{FILE_NAME}"))


def find_card(name: str, workspace: Workspace) -> Card:
    """Returns one model's card: by name, of the workspace, a plug-in or the suite's own; by the path of a
    ``card.toml``, of a folder with one or with a ``model_index.json``, which diffusers opens; or by the ``owner/name``
    of such a folder on the hub, where it was fetched. ``NAME@SETTINGS`` is a variant (see :func:`.variant.variant`).

    Raises:
        UserError: nothing has that name (it suggests the nearest), two have it, or a setting is none.
    """
    name, separator, settings = name.partition(SEPARATOR)
    card = _pinned(_plain_card(name, workspace))
    return variant(card, settings) if separator else card


def _pinned(card: Card) -> Card:
    """Makes the files that lie here a part of a card that does not state which they must be."""
    family = FAMILIES.get(card.family or "")
    if family is None or family.pinned is None:
        return card
    pinned: Card = imported(family.pinned, _where(card))(card)
    return pinned


def _plain_card(name: str, workspace: Workspace) -> Card:
    known, own = model_names(workspace), own_workspace(workspace.root)
    ours = own.models / name / FILE_NAME if own is not None and name in model_names(own) else None
    plugged = find("models", name, own=ours is not None)
    if name in known and plugged is not None:
        hint = "Rename the card, or uninstall the other."
        raise UserError(f'"{name}" is a model of {workspace.models} and of {plugged.owner}.', hint=hint)
    if name in known:
        return _named_card(workspace.models / name / FILE_NAME)
    card = card_of(plugged) if plugged is not None else card_at(Path(name).expanduser()) or hub_card(name)
    if card is None and ours is not None:
        card = _named_card(ours)
    if card is None:
        raise UserError(f'there is no model "{name}".', hint=suggest(name, known) + " Or give the path of a card.toml.")
    return card


def card_at(path: Path) -> Card | None:
    """Returns the card of a ``card.toml``, or of a folder with one or with a ``model_index.json``; else None."""
    if path.is_file() or (path / FILE_NAME).is_file():
        return load_card(path)
    return pipeline_card(path) if (path / INDEX).is_file() else None


def card_of(plugin: Plugin) -> Card:
    """Returns the card that lies in the package of a plug-in; raises UserError, naming it, where there is none."""
    try:
        return _named_card(folder(plugin) / FILE_NAME, plugin.name)
    except UserError as error:
        told = error.what if error.where == plugin.where else f"{error.where}: {error.what}"
        raise UserError(told, where=plugin.where, hint=error.hint) from None


def plugin_of(card: Card) -> Plugin | None:
    """Returns the plug-in that a card is of, None where it is of a workspace or a folder."""
    for one in plugins("models"):
        with suppress(UserError):  # one of the same name that is broken is not this one
            if one.name == card.model and folder(one).resolve() == card.path:
                return one
    return None


def select(names: Sequence[str], workspace: Workspace, protocol: Protocol | None = None) -> list[Card]:
    """Returns the named models' cards in the order given, as they take part in a protocol where one is given.

    Raises:
        UserError: an unknown name, two models of one name, or a control for which the protocol has no real images.
    """
    found: dict[str, Card] = {}
    for name in names:
        card = find_card(name, workspace)
        card = card if protocol is None else over(card, protocol)
        if card.name in found:
            raise UserError(f'two models are called "{card.name}": {found[card.name].path} and {card.path}.')
        found[card.name] = card
    return list(found.values())


def load(card: Card, device: str) -> Generator:
    """Returns the generator of a card on a device, its knobs' defaults being the card's.

    Raises:
        UserError: weights missing or not the card's, an unknown family, a factory that cannot be imported, a knob that
            the family does not declare or out of its range, a precision or compilation that the model cannot do.
    """
    card.verify()
    if (waiting := untrained(card)) is not None:
        raise waiting
    generator: Generator = _loader(card)(card, device)
    generator.info = replace(generator.info, knobs=_with_defaults(generator.info.knobs, card))
    wanted = [card.precision] * (card.precision != "fp32") + ["compile"] * card.compile
    if wanted:
        _prepare(generator, card, wanted)
    return generator


def networks(card: Card) -> dict[str, Any]:
    """Returns the networks of a card with random weights, untouched, by the names of its ``[[parts]]``.

    They are built on torch's current device: on "meta" the largest costs nothing.
    """
    assert card.random_weights and card.family is not None
    build = FAMILIES[card.family].networks
    assert build is not None
    built: dict[str, Any] = imported(build, _where(card))(card)
    return built


def _prepare(generator: Generator, card: Card, wanted: list[str]) -> None:
    capabilities = generator.info.capabilities
    lacking = [name for name in wanted if name not in capabilities]
    if lacking or not isinstance(generator, Preparable):
        able = ", ".join(name for name in (*PRECISIONS, "compile") if name in capabilities) or "fp32 alone"
        raise UserError(f"{card.model} cannot run with {' and '.join(lacking or wanted)}; it can: {able}.")
    generator.prepare(precision=card.precision, compiled=card.compile)


def _loader(card: Card) -> Callable[..., Any]:
    if card.python is not None:
        return imported(OWN_INTERPRETER, _where(card))
    if card.factory is not None:
        return imported(card.factory, _where(card), beside=card.path)
    assert card.family is not None
    family = FAMILIES.get(card.family)
    if family is None:
        raise UserError(f'unknown family "{card.family}".', where=_where(card), hint=suggest(card.family, FAMILIES))
    if card.random_weights and family.networks is None:
        raise UserError(f'the family "{card.family}" cannot draw its weights.', where=f"{_where(card)}: weights")
    return imported(family.load, _where(card))


def _with_defaults(declared: tuple[Knob, ...], card: Card) -> tuple[Knob, ...]:
    names = [knob.name for knob in declared]
    for name in card.knobs:
        if name not in names:
            raise UserError(f'unknown knob "{name}".', where=f"{_where(card)}: knobs", hint=suggest(name, names))
    return tuple(replace(knob, default=_default(knob, card)) for knob in declared)


def _default(knob: Knob, card: Card) -> float:
    try:
        return knob.check(card.knobs.get(knob.name, knob.default))
    except UserError as error:
        raise UserError(error.what, where=f"{_where(card)}: knobs") from None


def _named_card(path: Path, name: str | None = None) -> Card:
    """Returns a card that is known by the name of its folder, or by another."""
    card, wanted, whose = load_card(path), name or path.parent.name, "folder" if name is None else "entry point"
    if card.name != wanted:
        raise UserError(f'the card says "{card.name}", its {whose} "{wanted}".', where=str(path))
    return card


def _where(card: Card) -> str:
    return str(card.path / FILE_NAME)
