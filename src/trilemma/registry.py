"""Names to cards to generators: typed, lazy and loud."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from trilemma.card import FILE_NAME, PRECISIONS, SEPARATOR, Card, load_card
from trilemma.errors import UserError, suggest
from trilemma.generator import Generator, Knob, Preparable
from trilemma.identity import file_digest
from trilemma.protocol import Protocol, load_protocol
from trilemma.variant import variant
from trilemma.workspace import Workspace

Loader = Callable[[Card, str], Generator]

# Targets, not functions: a list of names must not import torch.
FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        "gan": "trilemma.families.gan:load",
        "vqar": "trilemma.families.vqar:load",
        "var": "trilemma.families.var:load",
        "diffusers": "trilemma.families.latent_diffusion:load",
        "controls": "trilemma.families.controls:load",
        "taming": "trilemma.families.taming_imagenet:load",
        "class-diffusion": "trilemma.families.class_diffusion:load",
        "biggan": "trilemma.families.biggan:load",
    }
)
# The families that can draw their weights, with what builds their networks, encoders included, as they were published.
NETWORKS: Mapping[str, str] = MappingProxyType(
    {
        "diffusers": "trilemma.families.random_pipeline:parts",
        "var": "trilemma.families.var.model:parts",
        "taming": "trilemma.families.taming_imagenet:parts",
        "class-diffusion": "trilemma.families.class_diffusion:parts",
        "biggan": "trilemma.families.biggan:parts",
    }
)
PIPELINE_INDEX = "model_index.json"  # what diffusers writes at the top of a pipeline's folder


def cards(workspace: Workspace) -> dict[str, Card]:
    """Returns the workspace's models by name, in alphabetical order.

    Raises:
        UserError: a card cannot be read, or its name is not that of its folder.
    """
    return {name: _named_card(workspace.models / name / FILE_NAME) for name in model_names(workspace)}


def model_names(workspace: Workspace) -> list[str]:
    """Returns the names of the workspace's models, in alphabetical order, without reading their cards."""
    return sorted(path.parent.name for path in workspace.models.glob(f"*/{FILE_NAME}"))


def competing(workspace: Workspace) -> list[str]:
    """Returns the names of the models that can be judged: all but those whose weights are drawn."""
    return [name for name, card in cards(workspace).items() if not card.random_weights]


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
    """Returns one protocol, by name or by the path of a TOML file."""
    if name.endswith(".toml"):
        return load_protocol(Path(name))
    known = [path.stem for path in workspace.protocols]
    if name not in known:
        raise UserError(f'there is no protocol "{name}".', hint=suggest(name, known))
    return _named_protocol(workspace.benchmarks / f"{name}.toml")


def find_card(name: str, workspace: Workspace) -> Card:
    """Returns one model's card: by name, by the path of a ``card.toml``, or of a folder with one or with a
    ``model_index.json``, which diffusers opens. ``NAME@SETTINGS`` is a variant of it (see :func:`.variant.variant`).

    Raises:
        UserError: nothing has that name (it suggests the nearest), or a setting is none.
    """
    name, separator, settings = name.partition(SEPARATOR)
    card = _plain_card(name, workspace)
    return variant(card, settings) if separator else card


def _plain_card(name: str, workspace: Workspace) -> Card:
    known = model_names(workspace)
    if name in known:
        return _named_card(workspace.models / name / FILE_NAME)
    card = card_at(Path(name).expanduser())
    if card is None:
        raise UserError(f'there is no model "{name}".', hint=suggest(name, known) + " Or give the path of a card.toml.")
    return card


def card_at(path: Path) -> Card | None:
    """Returns the card of a ``card.toml``, or of a folder with one or with a ``model_index.json``; else None."""
    if path.is_file() or (path / FILE_NAME).is_file():
        return load_card(path)
    return pipeline_card(path) if (path / PIPELINE_INDEX).is_file() else None


def select(names: Sequence[str], workspace: Workspace) -> list[Card]:
    """Returns the named models' cards in the order given.

    Raises:
        UserError: an unknown name, or two models of one name.
    """
    found: dict[str, Card] = {}
    for name in names:
        card = find_card(name, workspace)
        if card.name in found:
            raise UserError(f'two models are called "{card.name}": {found[card.name].path} and {card.path}.')
        found[card.name] = card
    return list(found.values())


def pipeline_card(folder: Path) -> Card:
    """Returns a card for a folder that diffusers opens; every file in it counts as weights."""
    folder = folder.resolve()
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not _hidden(path, folder))
    index = json.loads((folder / PIPELINE_INDEX).read_text(encoding="utf-8"))
    return Card(
        name=_as_name(folder.name),
        family="diffusers",
        title=f"{index.get('_class_name', 'diffusers pipeline')} in {folder.name}",
        resolution=_pipeline_resolution(folder),
        weights_sha256={path.relative_to(folder).as_posix(): file_digest(path) for path in files},
        path=folder,
    )


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


def _named_card(path: Path) -> Card:
    card = load_card(path)
    if card.name != path.parent.name:
        raise UserError(f'the card says "{card.name}", its folder "{path.parent.name}".', where=str(path))
    return card


def _named_protocol(path: Path) -> Protocol:
    protocol = load_protocol(path)
    if protocol.name != path.stem:
        raise UserError(f'the protocol says "{protocol.name}", its file "{path.stem}".', where=str(path))
    return protocol


def _where(card: Card) -> str:
    return str(card.path / FILE_NAME)


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _as_name(text: str) -> str:
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in text.lower()).strip("-")
    return name or "pipeline"


def _pipeline_resolution(folder: Path) -> int:
    """The latent size of the denoiser times the autoencoder's downsampling, as diffusers itself computes it."""
    denoiser = _config(folder / "unet") or _config(folder / "transformer")
    levels = len(_config(folder / "vae").get("block_out_channels", [None]))
    downsampling: int = 1 << (levels - 1)
    return int(denoiser.get("sample_size", 32)) * downsampling


def _config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return loaded
