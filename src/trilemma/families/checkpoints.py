"""Other people's checkpoints: read where they hold tensors alone, else refused, with the way to convert them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trilemma.errors import UserError

LIGHTNING = "state_dict"  # what a Lightning checkpoint keeps its network's tensors under


def open_weights(path: Path) -> Any:
    """Returns what a safetensors or a torch file holds, on the CPU.

    Raises:
        UserError: the file is damaged, or holds more than tensors, which would have to be executed to be read.
    """
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # on bytes at random, unpickling fails in any way there is
        hint = f"If it is whole: trilemma convert {path} {path.with_suffix('.safetensors')}"
        raise UserError(
            "this file is damaged or holds more than tensors; it is not loaded.", where=str(path), hint=hint
        ) from error


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Returns a network's tensors by name: of a state dict, of a Lightning checkpoint, of either once converted."""
    loaded = open_weights(path)
    if isinstance(loaded, dict) and isinstance(loaded.get(LIGHTNING), dict):
        loaded = loaded[LIGHTNING]
    if not isinstance(loaded, dict) or not all(isinstance(name, str) for name in loaded):
        raise UserError("this file holds no table of tensors.", where=str(path))
    tensors = {name: value for name, value in loaded.items() if isinstance(value, Tensor)}
    prefix = f"{LIGHTNING}."
    converted = {n.removeprefix(prefix): value for n, value in tensors.items() if n.startswith(prefix)}
    return converted or tensors


def below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Returns the tensors whose names begin with the prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
