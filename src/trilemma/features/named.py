"""The networks that a protocol names over other data than Scenes: presets of the field, and extractors of classes.

Nothing here needs torch: what is named wrongly, or not at hand, is told before anything is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from trilemma.errors import UserError, suggest
from trilemma.features import instruments_home
from trilemma.features.plugin import recipe_of_plugin
from trilemma.features.presets import PRESETS, Preset
from trilemma.features.recipe import Normalization, Recipe, Resize
from trilemma.features.thumbnails import SIDE
from trilemma.features.weights import WeightsFile, locate
from trilemma.identity import digest
from trilemma.protocol import SCENES, Protocol

DISTANCE = "fd"
"""The Fréchet distance under an extractor that the field has no name for."""
CLASSIFIERS = ("tf-inception", "class-net")
GREY_LEVELS = "grey-levels"
"""An extractor without weights: averages over the cells of a 16x16 grid. It sees colours and layout, no content."""
_OF_CLASSES = Normalization(scale=127.5, mean=(1.0, 1.0, 1.0), std=(1.0, 1.0, 1.0))
_AVERAGES = Recipe(
    network=GREY_LEVELS,
    files=(),
    resize=Resize(size=SIDE, kernel="area", implementation="exact", antialias=True, quantized=True, fit="stretch"),
    normalization=Normalization(scale=1.0, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
)


def recipe_of(name: str) -> Recipe:
    """Returns what a named network makes of images: its features alone.

    Raises:
        UserError: nothing has that name (it suggests the nearest), two have it, or what has it measures Scenes alone.
    """
    own = {path.parent.name for path in instruments_home().glob("*/*.safetensors")}
    plugged = recipe_of_plugin(name, own=name in own or name in PRESETS or name == GREY_LEVELS)
    if plugged is not None:
        return replace(plugged, outputs=("features",))
    if name == GREY_LEVELS:
        return _AVERAGES
    if name == SCENES or (name in own and name.startswith(f"{SCENES}-")):
        raise UserError(f'"{name}" measures Scenes alone.', hint=_known(own))
    if name in PRESETS:
        return replace(PRESETS[name].recipe, outputs=("features",))
    if name not in own:
        raise UserError(f'there is no extractor "{name}".', hint=suggest(name, _usable(own)))
    file = WeightsFile(name="model.safetensors", instrument=name)
    return Recipe(network="class-net", files=(file,), resize=None, normalization=_OF_CLASSES)


def recipes(protocol: Protocol) -> dict[str, Recipe]:
    """Returns role → recipe of every network that the protocol names.

    Raises:
        UserError: a name is none, or a network cannot play its role.
    """
    assert protocol.extractors is not None
    found = {role: _recipe(protocol, role, name) for role, name in protocol.extractors.roles().items()}
    if "inception_score" in protocol.metrics:
        found["features"] = replace(found["features"], outputs=("features", "logits"))
    if "reader" in found:
        found["reader"] = replace(found["reader"], outputs=("logits",))
    return found


def lacking(protocol: Protocol) -> dict[str, str]:
    """Returns the optional roles whose weights are not at hand, each with the reason.

    Raises:
        UserError: weights that are not optional are missing, or a file is not the published one.
    """
    assert protocol.extractors is not None
    reasons: dict[str, str] = {}
    for role, recipe in recipes(protocol).items():
        try:
            _sha256(recipe)
        except UserError as error:
            if role not in (protocol.extractors.optional or ()):
                raise
            reasons[role] = f'the weights of "{protocol.extractors.roles()[role]}" are not at hand: {error.what}'
    return reasons


def identity(protocol: Protocol) -> dict[str, str]:
    """Returns role → digest of weights and preprocessing of the networks at hand; of others :func:`lacking` tells."""
    absent = lacking(protocol)
    return {role: _digest(recipe) for role, recipe in recipes(protocol).items() if role not in absent}


def fetch(protocol: Protocol) -> None:
    """Downloads the weights that a protocol needs and that are not at hand; raises UserError where that fails."""
    for recipe in recipes(protocol).values() if protocol.extractors is not None else ():
        for file in recipe.files:
            locate(file, download=True)


def preset_of(protocol: Protocol) -> Preset | None:
    """Returns the preset of the field that the features are made by; None for an extractor of the suite's own."""
    assert protocol.extractors is not None
    return PRESETS.get(protocol.extractors.features)


def distance_name(protocol: Protocol) -> str:
    """Returns what the Fréchet distance in the protocol's features is called: FID under a recipe for FID alone."""
    known = preset_of(protocol)
    names = [] if known is None else _distances(known)
    return names[0] if names else DISTANCE


def parameters(protocol: Protocol, metric: str) -> Mapping[str, Any]:
    """Returns what the preset's own suite computes a metric with; empty where there is no such preset or metric."""
    known = preset_of(protocol)
    uses = () if known is None else known.metrics
    return next((dict(use.parameters) for use in uses if use.name == metric), {})


def check(protocol: Protocol) -> None:
    """Raises UserError where a metric of the protocol needs a network that it names none of, or another one."""
    assert protocol.extractors is not None
    own, where = distance_name(protocol), f"{protocol.name}: metrics"
    others = {DISTANCE, *(name for known in PRESETS.values() for name in _distances(known))} - {own}
    for name in protocol.metrics:
        if name in others:
            raise UserError(
                f'"{name}" is not the distance of {protocol.extractors.features}: it is "{own}".', where=where
            )
    network = recipe_of(protocol.extractors.features).network
    if "inception_score" in protocol.metrics and network not in CLASSIFIERS:
        raise UserError(f'{protocol.extractors.features} tells no classes: there is no "inception_score".', where=where)
    if "is_inception" in protocol.metrics:
        raise UserError('"is_inception" is of Scenes: elsewhere it is "inception_score".', where=where)
    for metric, role in (("clip_score", "clip"), ("prompt_accuracy", "reader")):
        if metric in protocol.metrics and role not in protocol.extractors.roles():
            raise UserError(f'"{metric}" needs a network: name it as "{role}".', where=f"{protocol.name}: extractors")


def _distances(known: Preset) -> list[str]:
    return [use.name for use in known.metrics if use.function == "frechet_distance"]


def _recipe(protocol: Protocol, role: str, name: str) -> Recipe:
    where = f"{protocol.name}: extractors: {role}"
    try:
        recipe = recipe_of(name)
    except UserError as error:
        raise UserError(error.what, where=where, hint=error.hint) from None
    if role == "reader" and recipe.network != "class-net":
        raise UserError(f'"{name}" reads no classes of a data set.', where=where)
    if role == "clip" and not _scores_prompts(name):
        raise UserError(f'"{name}" compares no image with a prompt.', where=where, hint="Known: clip-score.")
    return recipe


def _scores_prompts(name: str) -> bool:
    return name in PRESETS and any(use.function == "clip_score" for use in PRESETS[name].metrics)


def _sha256(recipe: Recipe) -> dict[str, str]:
    return {file.name: locate(file).sha256 for file in recipe.files}


def _digest(recipe: Recipe) -> str:
    """Which arrays are kept changes none of them."""
    return digest({name: value for name, value in recipe.identity(_sha256(recipe)).items() if name != "outputs"})


def _usable(own: set[str]) -> list[str]:
    return sorted({*PRESETS, *own, GREY_LEVELS} - {SCENES} - {name for name in own if name.startswith(f"{SCENES}-")})


def _known(own: set[str]) -> str:
    return f"Known: {', '.join(_usable(own))}."
