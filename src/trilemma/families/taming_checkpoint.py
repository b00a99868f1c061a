"""The official checkpoints of Taming Transformers: a YAML of the architecture, and Lightning's file of its weights.

Source: https://github.com/CompVis/taming-transformers, ``taming/models/cond_transformer.py``,
``scripts/sample_fast.py``. The YAML is read as data: the classes that it names are neither imported nor called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from trilemma.errors import UserError
from trilemma.families.checkpoints import below
from trilemma.families.taming_network import TamingNetwork

if TYPE_CHECKING:
    from trilemma.card import Card

MOST_BYTES = 2**20  # of the YAML; the published ones have 2 KB
CLASSES = 1000  # where neither YAML nor card says how many there are
UNCONDITIONAL = "__is_unconditional__"
BY_CLASS = ("taming.models.dummy_cond_stage.DummyCondStage", "taming.modules.util.Labelator")
PREFIX = {"transformer": "transformer.", "vqgan": "first_stage_model."}
COMPUTED = "attn.mask"  # which tokens see which others; a buffer that the network computes
SAMPLED = ("codebook.", "decoder.", "post_quant_conv.")


@dataclass(frozen=True, kw_only=True)
class Described:
    """What a YAML says: the architecture, and the token in front of the picture's where there is no class."""

    network: TamingNetwork
    start: int | None


def read_config(path: Path, card: Card) -> Described:
    """Returns what the YAML of a class-conditional or unconditional checkpoint describes.

    Raises:
        UserError: it is no such YAML, or of a model that is conditioned on something else.
    """
    model = _section(_parsed(path), "model", path)
    parameters = _section(model, "params", path)
    first = _section(_section(parameters, "first_stage_config", path), "params", path)
    gpt = _section(_section(parameters, "transformer_config", path), "params", path)
    start = _start(parameters, path)
    try:
        classes = 0 if start is not None else _classes(parameters, card)
        network = _network(_section(first, "ddconfig", path), first, gpt, classes)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"this is no configuration of a VQGAN and a transformer: {error}.", where=str(path)) from None
    _check(network, first, gpt, parameters, path)
    return Described(network=network, start=start)


def split_tensors(tensors: Mapping[str, Tensor], path: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Returns the transformer's tensors, and those of the VQGAN that sampling needs, by the names of our networks.

    Raises:
        UserError: one of the two is not in the file.
    """
    parts = {name: below(dict(tensors), prefix) for name, prefix in PREFIX.items()}
    for name, found in parts.items():
        if not found:
            raise UserError(f'this checkpoint holds no {name}: nothing begins with "{PREFIX[name]}".', where=str(path))
    vqgan = {name.replace("quantize.embedding.", "codebook."): value for name, value in parts["vqgan"].items()}
    sampled = {name: value for name, value in vqgan.items() if name.startswith(SAMPLED)}
    masks = {name for name in parts["transformer"] if name.endswith(COMPUTED)}
    return {name: value for name, value in parts["transformer"].items() if name not in masks}, sampled


def _parsed(path: Path) -> Any:
    import yaml

    if path.stat().st_size > MOST_BYTES:
        raise UserError("this file is too large for a configuration.", where=str(path))
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        first = (str(error).splitlines() or ["unreadable"])[0]
        raise UserError(f"this is not readable YAML: {first}.", where=str(path)) from None


def _section(table: Any, name: str, path: Path) -> dict[str, Any]:
    found = table.get(name) if isinstance(table, dict) else None
    if not isinstance(found, dict):
        raise UserError(f'the table "{name}" is missing.', where=str(path))
    return found


def _start(parameters: dict[str, Any], path: Path) -> int | None:
    """Returns the token that begins an unconditional picture, or None for a class in its place."""
    condition = parameters.get("cond_stage_config")
    if parameters.get("unconditional") or condition == UNCONDITIONAL:
        return int(parameters.get("sos_token", 0))
    target = condition.get("target") if isinstance(condition, dict) else condition
    if target not in BY_CLASS:
        raise UserError(f"this model is conditioned by {target}; it needs more than a class.", where=str(path))
    return None


def _classes(parameters: dict[str, Any], card: Card) -> int:
    """Of the YAML, where what takes the class (taming's Labelator) is told; else as many as the card names."""
    condition, named = parameters["cond_stage_config"], card.options.get("classes")
    told = (condition.get("params") or {}).get("n_classes") if isinstance(condition, dict) else None
    return int(told) if told is not None else len(named) if isinstance(named, list) else CLASSES


def _network(dd: dict[str, Any], first: dict[str, Any], gpt: dict[str, Any], classes: int) -> TamingNetwork:
    return TamingNetwork(
        resolution=int(dd["resolution"]),
        channels=int(dd["ch"]),
        multipliers=tuple(int(multiplier) for multiplier in dd["ch_mult"]),
        res_blocks=int(dd["num_res_blocks"]),
        attention=tuple(int(side) for side in dd["attn_resolutions"]),
        latent=int(dd["z_channels"]),
        code_width=int(first["embed_dim"]),
        codes=int(first["n_embed"]),
        block=int(gpt["block_size"]),
        layers=int(gpt["n_layer"]),
        heads=int(gpt["n_head"]),
        width=int(gpt["n_embd"]),
        classes=int(classes),
    )


def _check(
    network: TamingNetwork, first: dict[str, Any], gpt: dict[str, Any], parameters: dict[str, Any], path: Path
) -> None:
    wrong = None
    if gpt.get("vocab_size") != network.codes:
        wrong = f"the transformer knows {gpt.get('vocab_size')} tokens, the codebook {network.codes} codes"
    elif network.classes > network.codes:
        wrong = f"a class is one of {network.codes} tokens, and there are {network.classes} classes"
    elif network.block < network.side**2:
        wrong = f"the transformer reads {network.block} tokens, and a picture has {network.side**2}"
    elif gpt.get("n_unmasked") or first.get("remap") or parameters.get("permuter_config"):
        wrong = "n_unmasked, remap and permuter_config are not supported"
    if wrong is not None:
        raise UserError(f"{wrong}.", where=str(path))
