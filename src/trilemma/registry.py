"""Names to cards to generators: typed, lazy and loud."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from trilemma.card import FILE_NAME, PRECISIONS, SEPARATOR, Card, load_card
from trilemma.errors import UserError, suggest
from trilemma.families.control_cards import over
from trilemma.families.diffusers_cards import hub_card, pipeline_card
from trilemma.families.diffusers_files import INDEX
from trilemma.families.interpreters import interpreter
from trilemma.generator import Generator, Knob, Preparable
from trilemma.plugins import Plugin, find, folder, plugins
from trilemma.protocol import Protocol, load_protocol
from trilemma.published import check_published
from trilemma.variant import variant
from trilemma.workspace import Workspace, own_workspace

Loader = Callable[[Card, str], Generator]

# Targets, not functions: a list of names must not import torch.
FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        "gan": "trilemma.families.gan:load",
        "vqar": "trilemma.families.vqar:load",
        "var": "trilemma.families.var:load",
        "diffusers": "trilemma.families.diffusers_pipeline:load",
        "controls": "trilemma.families.controls:load",
        "taming": "trilemma.families.taming_transformer:load",
        "class-diffusion": "trilemma.families.class_diffusion:load",
        "biggan": "trilemma.families.biggan:load",
        "torchscript": "trilemma.families.torchscript:load",
        "samples": "trilemma.families.samples:load",
    }
)
OWN_INTERPRETER = "trilemma.families.own_interpreter:load"  # loads a factory that wants a Python of its own
# What says, without torch, which things a card needs are not at hand; of other families weights alone are looked for.
NEEDS: Mapping[str, str] = MappingProxyType(
    {
        "var": "trilemma.families.published_files:missing",
        "taming": "trilemma.families.published_files:missing",
        "biggan": "trilemma.families.published_files:missing",
        "diffusers": "trilemma.families.diffusers_files:missing",
        "samples": "trilemma.families.samples_options:missing",
        "controls": "trilemma.families.control_cards:missing",
    }
)
# What fetches the files of a card, because somebody asked for it.
FETCHERS: Mapping[str, str] = MappingProxyType(
    {
        "var": "trilemma.families.published_files:fetch",
        "taming": "trilemma.families.published_files:fetch",
        "biggan": "trilemma.families.published_files:fetch",
        "diffusers": "trilemma.families.diffusers_open:fetch",
    }
)
# What makes the files that lie here a part of a card, where it does not state which they must be.
PINS: Mapping[str, str] = MappingProxyType(
    {
        "diffusers": "trilemma.families.diffusers_files:pinned",
        "samples": "trilemma.families.samples_options:pinned",
        "var": "trilemma.families.published_files:pinned",
        "taming": "trilemma.families.published_files:pinned",
        "biggan": "trilemma.families.published_files:pinned",
    }
)
UNTIMED = frozenset({"samples"})  # their images exist already
# The families that can draw their weights, with what builds their networks, encoders included, as they were published.
NETWORKS: Mapping[str, str] = MappingProxyType(
    {
        "diffusers": "trilemma.families.random_pipeline:parts",
        "var": "trilemma.families.var.model:parts",
        "taming": "trilemma.families.taming_transformer:parts",
        "class-diffusion": "trilemma.families.class_diffusion:parts",
        "biggan": "trilemma.families.biggan:parts",
    }
)


def cards(workspace: Workspace) -> dict[str, Card]:
    """Returns the workspace's models by name, in alphabetical order.

    Raises:
        UserError: a card cannot be read, or its name is not that of its folder.
    """
    return {name: _named_card(workspace.models / name / FILE_NAME) for name in model_names(workspace)}


def model_names(workspace: Workspace) -> list[str]:
    """Returns the names of the workspace's models, in alphabetical order, without reading their cards."""
    return sorted(path.parent.name for path in workspace.models.glob(f"*/{FILE_NAME}"))


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
    if (absent := card.missing_weights()) is not None:
        return absent
    try:
        if card.python is not None:
            interpreter(card)
        elif card.family is not None and card.family in NEEDS:
            find = cast(Callable[[Card], UserError | None], _import(NEEDS[card.family], card))
            return find(card)
    except UserError as error:
        return error
    return None


def refuse_missing(wanted: Iterable[Card]) -> None:
    """Raises UserError where something that a model needs is not at hand: before anything else is measured."""
    for card in wanted:
        if (absent := missing(card)) is not None:
            raise absent


def refuse_untimed(wanted: Iterable[Card]) -> None:
    """Raises UserError where a model's images exist already: nothing is left that could be timed."""
    for card in wanted:
        if card.family in UNTIMED:
            raise UserError(f'"{card.name}" has nothing to time: its images exist already.', where=_where(card))


def fetch(card: Card) -> Path:
    """Downloads what a card needs and returns where it lies; raises UserError where its family fetches nothing."""
    if card.family is None or card.family not in FETCHERS:
        raise UserError(f'"{card.name}" names nothing that could be fetched.', where=_where(card))
    return cast(Callable[[Card], Path], _import(FETCHERS[card.family], card))(card)


def refuse_random(wanted: Iterable[Card]) -> None:
    """Raises UserError where a model's weights are drawn: it can be timed, and nothing else."""
    for card in wanted:
        if card.random_weights:
            raise UserError(
                f'"{card.name}" has random weights: it takes part in speed only.', hint=f"Time it: speed {card.name}."
            )


def protocols(workspace: Workspace) -> dict[str, Protocol]:
    """Returns the workspace's protocols by name, in alphabetical order."""
    return {path.stem: _named_protocol(path) for path in workspace.protocols}


def find_protocol(name: str, workspace: Workspace) -> Protocol:
    """Returns one protocol: by name, of the workspace or of the suite's own, or by the path of a TOML file."""
    if name.endswith(".toml"):
        return _checked(load_protocol(Path(name)), name)
    known = {path.stem: path for path in workspace.protocols}
    own = own_workspace(workspace.root)
    others = {path.stem: path for path in own.protocols} if own is not None else {}
    path = known.get(name, others.get(name))
    if path is None:
        raise UserError(f'there is no protocol "{name}".', hint=suggest(name, known))
    return _named_protocol(path)


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
    if card.family is None or card.family not in PINS:
        return card
    return cast(Callable[[Card], Card], _import(PINS[card.family], card))(card)


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


def load(card: Card, device: str, families: Mapping[str, str] = FAMILIES) -> Generator:
    """Returns the generator of a card on a device, its knobs' defaults being the card's.

    Raises:
        UserError: weights missing or not the card's, an unknown family, a factory that cannot be imported, a knob that
            the family does not declare or out of its range, a precision or compilation that the model cannot do.
    """
    card.verify()
    generator = _loader(card, families)(card, device)
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
    build = cast(Callable[[Card], dict[str, Any]], _import(NETWORKS[card.family], card))
    return build(card)


def _prepare(generator: Generator, card: Card, wanted: list[str]) -> None:
    capabilities = generator.info.capabilities
    lacking = [name for name in wanted if name not in capabilities]
    if lacking or not isinstance(generator, Preparable):
        able = ", ".join(name for name in (*PRECISIONS, "compile") if name in capabilities) or "fp32 alone"
        raise UserError(f"{card.model} cannot run with {' and '.join(lacking or wanted)}; it can: {able}.")
    generator.prepare(precision=card.precision, compiled=card.compile)


def _loader(card: Card, families: Mapping[str, str]) -> Loader:
    if card.python is not None:
        return _import(OWN_INTERPRETER, card)
    if card.factory is not None:
        return _import(card.factory, card, beside=card.path)
    assert card.family is not None
    if card.family not in families:
        raise UserError(f'unknown family "{card.family}".', where=_where(card), hint=suggest(card.family, families))
    if card.random_weights and card.family not in NETWORKS:
        raise UserError(f'the family "{card.family}" cannot draw its weights.', where=f"{_where(card)}: weights")
    return _import(families[card.family], card)


def _import(target: str, card: Card, beside: Path | None = None) -> Loader:
    module_name, _, function = target.partition(":")
    if beside is not None and str(beside) not in sys.path:
        sys.path.append(str(beside))  # last: a file beside a card must shadow nothing that is installed
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        hint = "Put it beside the card, or install it."
        raise UserError(f'cannot import "{module_name}".', where=_where(card), hint=hint) from None
    if not callable(getattr(module, function, None)):
        raise UserError(f'"{module_name}" has no function "{function}".', where=_where(card))
    return cast(Loader, getattr(module, function))


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


def _named_protocol(path: Path) -> Protocol:
    protocol = load_protocol(path)
    if protocol.name != path.stem:
        raise UserError(f'the protocol says "{protocol.name}", its file "{path.stem}".', where=str(path))
    return _checked(protocol, str(path))


def _checked(protocol: Protocol, where: str) -> Protocol:
    """Returns the protocol; raises UserError where it names published numbers that there are none of."""
    comparable = protocol.comparable
    if comparable is None or comparable.table is None or comparable.protocol is None:
        return protocol
    try:
        check_published(comparable.table, comparable.protocol)
    except UserError as error:
        raise UserError(error.what, where=f"{where}: comparable: {error.where}", hint=error.hint) from None
    return protocol


def _where(card: Card) -> str:
    return str(card.path / FILE_NAME)
