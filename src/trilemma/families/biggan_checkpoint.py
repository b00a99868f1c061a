"""BigGAN-deep's published weights: DeepMind's, as pytorch-pretrained-BigGAN keeps them (config.json and a state dict).

Source of names and formulas: https://github.com/huggingface/pytorch-pretrained-BigGAN,
``pytorch_pretrained_biggan/model.py``. Spectral normalisation divides a weight by a constant, which is done once, here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trilemma.errors import UserError
from trilemma.families.biggan_network import START, BigganNetwork

MOST_BYTES = 2**20  # of the JSON; the published ones have less than 1 KB
NORMS = 4  # in each block
CONVOLUTIONS = ("reduce", "mix", "mix_again", "expand")
ATTENTION = {"query": "theta", "key": "phi", "value": "g", "project": "o_conv"}
COLOURS = 3  # the last layer has as many outputs as inputs, of which three are used


def read_network(path: Path) -> BigganNetwork:
    """Returns the architecture that a ``config.json`` describes.

    Raises:
        UserError: it is no such file, or its layers are not two a resolution, the second of which doubles it.
    """
    if path.stat().st_size > MOST_BYTES:
        raise UserError("this file is too large for a configuration.", where=str(path))
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        return _network(config)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UserError(f"this is no configuration of BigGAN-deep: {error}.", where=str(path)) from None


def _network(config: dict[str, Any]) -> BigganNetwork:
    layers = [(bool(up), int(before), int(after)) for up, before, after in config["layers"]]
    multipliers = (layers[0][1], *(after for up, _, after in layers if up))
    expected = [layer for b, a in pairwise(multipliers) for layer in ((False, b, b), (True, b, a))]
    place = int(config["attention_layer_position"])
    if layers != expected or place % 2:
        raise ValueError("its layers are not two a resolution")
    network = BigganNetwork(
        channels=int(config["channel_width"]),
        multipliers=multipliers,
        attention=START << (place // 2),
        latent=int(config["z_dim"]),
        embedding=int(config["class_embed_dim"]),
        classes=int(config["num_classes"]),
        epsilon=float(config["eps"]),
    )
    if network.resolution != config["output_dim"]:
        raise ValueError(f"its layers end at {network.resolution} pixels, not at {config['output_dim']}")
    return network


def renamed(tensors: Mapping[str, Tensor], network: BigganNetwork, path: Path) -> dict[str, Tensor]:
    """Returns the weights by the names of our network, without the statistics of the norms.

    Raises:
        UserError: a tensor is missing.
    """
    source = _Source(tensors, path)
    start = source.weight("generator.gen_z")
    bias = source["generator.gen_z.bias"]
    found = {
        "embedding.weight": source["embeddings.weight"].t(),
        # The rows are of a map with channels innermost.
        "start.weight": start.unflatten(0, (START * START, -1)).transpose(0, 1).flatten(0, 1),
        "start.bias": bias.unflatten(0, (START * START, -1)).t().flatten(),
        "norm.weight": source["generator.bn.weight"],
        "norm.bias": source["generator.bn.bias"],
        "to_rgb.weight": source.weight("generator.conv_to_rgb")[:COLOURS],
        "to_rgb.bias": source["generator.conv_to_rgb.bias"][:COLOURS],
    }
    for number, layer in _layers(network):
        found |= _block(source, f"generator.layers.{layer}", f"blocks.{number}")
    attention = f"generator.layers.{network.blocks_before_attention}"
    for ours, theirs in ATTENTION.items():
        found[f"attention.{ours}.weight"] = source.weight(f"{attention}.snconv1x1_{theirs}")
    return found | {"attention.gamma": source[f"{attention}.gamma"].reshape(())}


def statistics(tensors: Mapping[str, Tensor], network: BigganNetwork, path: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """Returns for each norm of our network its means and variances, ``(n, C)``, at n truncations from 0 to 1.

    Raises:
        UserError: a tensor is missing.
    """
    source = _Source(tensors, path)
    norms = {
        f"blocks.{number}.norms.{norm}": f"generator.layers.{layer}.bn_{norm}"
        for number, layer in _layers(network)
        for norm in range(NORMS)
    }
    return {
        ours: (source[f"{theirs}.running_means"], source[f"{theirs}.running_vars"])
        for ours, theirs in (norms | {"norm": "generator.bn"}).items()
    }


def _layers(network: BigganNetwork) -> Iterator[tuple[int, int]]:
    """Our number of each block, and that among their layers, of which self-attention is one."""
    blocks = 2 * (len(network.multipliers) - 1)
    yield from ((number, number + (number >= network.blocks_before_attention)) for number in range(blocks))


def _block(source: _Source, theirs: str, ours: str) -> dict[str, Tensor]:
    found = {}
    for norm in range(NORMS):
        found[f"{ours}.norms.{norm}.gain.weight"] = source.weight(f"{theirs}.bn_{norm}.scale")
        found[f"{ours}.norms.{norm}.shift.weight"] = source.weight(f"{theirs}.bn_{norm}.offset")
    for number, name in enumerate(CONVOLUTIONS):
        found[f"{ours}.{name}.weight"] = source.weight(f"{theirs}.conv_{number}")
        found[f"{ours}.{name}.bias"] = source[f"{theirs}.conv_{number}.bias"]
    return found


class _Source:
    """The published tensors by their names; a missing one is a user's error."""

    def __init__(self, tensors: Mapping[str, Tensor], path: Path) -> None:
        self.tensors, self.path = tensors, path

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.tensors:
            raise UserError(f'this is no checkpoint of BigGAN-deep: it lacks "{name}".', where=str(self.path))
        return self.tensors[name]

    def weight(self, name: str) -> Tensor:
        """Returns a weight over its spectral norm u' W v, u and v being kept in the file (arXiv 1802.05957, §2.1)."""
        weight, u, v = (self[f"{name}.weight_{part}"] for part in ("orig", "u", "v"))
        return weight / torch.dot(u, weight.flatten(1) @ v)
