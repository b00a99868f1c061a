"""Low-rank adapters, merged into the weights that they adapt: W + s (alpha / r) B A (Hu et al., arXiv 2106.09685).

Merged once, when a pipeline is opened, an adapter costs nothing afterwards, and no library for adapters is needed.
Alpha is a layer's tensor, or else what the file's header says (``lora_metadata``), or else r.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from trilemma.errors import UserError
from trilemma.families.lora_metadata import Scaling, stated_scalings

# How files spell A and B after the layer's name: PEFT, diffusers, kohya, and diffusers' old attention processors.
_DOWN = (".lora_A.weight", ".lora_A.default.weight", ".lora.down.weight", ".lora_linear_layer.down.weight",
         ".lora_down.weight", "_lora.down.weight")  # fmt: skip
_UP = (".lora_B.weight", ".lora_B.default.weight", ".lora.up.weight", ".lora_linear_layer.up.weight",
       ".lora_up.weight", "_lora.up.weight")  # fmt: skip
_ALPHA = (*(f"{ending}.alpha" for ending in _DOWN), ".alpha")
# How files call the networks of a pipeline, longest first.
_NETWORKS = {
    "text_encoder_2.": "text_encoder_2", "text_encoder.": "text_encoder", "transformer.": "transformer",
    "unet.": "unet", "lora_te1_": "text_encoder", "lora_te2_": "text_encoder_2", "lora_te_": "text_encoder",
    "lora_transformer_": "transformer", "lora_unet_": "unet",
}  # fmt: skip


@dataclass(kw_only=True)
class Update:
    """The tensors that a file has of one layer: A ``(r, in, ...)``, B ``(out, r, ...)``, and perhaps alpha."""

    down: Tensor | None = None
    up: Tensor | None = None
    alpha: float | None = None


def merge_lora(pipeline: Any, path: Path, scale: float) -> None:
    """Adds ``scale`` times the adapter of a safetensors file to the weights of a pipeline's networks.

    Raises:
        UserError: the file is damaged, or holds something that fits no layer: half of an adapter is none; or its header
            says something of alpha that cannot be read.
    """
    try:
        tensors = load_file(path)
    except Exception as error:  # safetensors has errors of its own for damage
        raise UserError(f"this is no readable safetensors file: {error}", where=str(path)) from None
    layers, scalings = _layers(pipeline), stated_scalings(path)
    for name, update in _updates(_in_names_of_diffusers(pipeline, tensors), path).items():
        dotted, layer = layers.get(name, ("", None))
        if layer is None or update.down is None or update.up is None:
            raise UserError(f'the LoRA\'s "{name}" fits no layer of the pipeline.', where=str(path))
        share = _share(update, dotted, scalings.get(name.partition(":")[0]))
        _add(layer, update.down, update.up, scale * share, f"{path}: {name}")


def _in_names_of_diffusers(pipeline: Any, tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Diffusers knows the names that other trainers give to the blocks of a UNet."""
    if not hasattr(pipeline, "lora_state_dict"):
        return tensors
    config = {"unet_config": pipeline.unet.config} if getattr(pipeline, "unet", None) is not None else {}
    converted = pipeline.lora_state_dict(dict(tensors), **config)
    if not isinstance(converted, tuple):
        return dict(converted)
    state, alphas = converted[:2]
    return {**state, **(alphas or {})}


def _updates(tensors: Mapping[str, Any], path: Path) -> dict[str, Update]:
    updates: dict[str, Update] = {}
    for key, value in tensors.items():
        for field, endings in (("down", _DOWN), ("up", _UP), ("alpha", _ALPHA)):
            ending = next((ending for ending in endings if key.endswith(ending)), None)
            if ending is not None:
                name = _plain(key.removesuffix(ending), old_processor=ending.startswith("_"))
                setattr(updates.setdefault(name, Update()), field, float(value) if field == "alpha" else value)
                break
        else:
            raise UserError(f'"{key}" is no part of a LoRA that can be merged.', where=str(path))
    if not updates:
        raise UserError("this file holds no LoRA.", where=str(path))
    return updates


def _plain(name: str, *, old_processor: bool) -> str:
    """Returns a layer's name as :func:`_layers` spells it: network, then path with "_" between its steps."""
    network, rest = next(((to, name.removeprefix(p)) for p, to in _NETWORKS.items() if name.startswith(p)), ("", name))
    rest = rest.replace(".processor.", ".")
    if old_processor and rest.endswith(".to_out"):
        rest += ".0"
    return f"{network}:{rest.replace('.', '_')}"


def _layers(pipeline: Any) -> dict[str, tuple[str, nn.Module]]:
    """Returns path, "a.b.c" within its network, and module of each layer, by network and path with "_" for dots."""
    return dict(_named_layers(pipeline))


def _named_layers(pipeline: Any) -> Iterator[tuple[str, tuple[str, nn.Module]]]:
    for network, module in pipeline.components.items():
        if isinstance(module, nn.Module):
            for path, layer in module.named_modules():
                if isinstance(layer, (nn.Linear, nn.Conv2d)):
                    yield f"{network}:{path.replace('.', '_')}", (path, layer)


def _share(update: Update, path: str, scaling: Scaling | None) -> float:
    assert update.down is not None
    if update.alpha is not None:
        return update.alpha / len(update.down)
    return 1.0 if scaling is None else scaling.share(path, len(update.down))


@torch.no_grad()
def _add(layer: nn.Module, down: Tensor, up: Tensor, scale: float, where: str) -> None:
    weight: Tensor = layer.weight  # type: ignore[assignment]
    # Of a convolution the first factor has the kernel, the second is 1x1.
    product = up.flatten(1).float() @ down.flatten(1).float()
    if product.numel() != weight.numel() or len(product) != len(weight):
        raise UserError(f"this LoRA is of another size: {tuple(product.shape)} for {tuple(weight.shape)}.", where=where)
    weight.copy_(weight.float() + scale * product.view(weight.shape).to(weight.device))
