"""What the embedded families share: reading weights, counting parameters, ending in uint8."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from trilemma.errors import UserError, suggest

if TYPE_CHECKING:
    from trilemma.card import Card

T = TypeVar("T")


def load_weights(module: nn.Module, path: Path, *, computed: tuple[str, ...] = ()) -> None:
    """Loads a safetensors file into ``module`` in the module's own dtype.

    Args:
        module: the network, already built.
        path: the file.
        computed: endings of the names that the network computes by itself, and that the file may lack.

    Raises:
        UserError: the file is missing, or its names or shapes are not the module's.
    """
    if not path.exists():
        raise UserError(
            "the weights are missing.", where=str(path), hint="Train the model: python bench.py train NAME."
        )
    fit_weights(module, load_file(path), path, computed=computed)


def fit_weights(
    module: nn.Module, tensors: Mapping[str, Tensor], path: Path, *, computed: tuple[str, ...] = ()
) -> None:
    """Copies tensors by name into ``module``; see :func:`load_weights`. ``path`` is where they are from."""
    known = {name: value for name, value in module.state_dict().items() if name.endswith(computed)}
    try:
        module.load_state_dict(known | dict(tensors))
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise UserError(f"the weights do not fit the card's [network]: {first}", where=str(path)) from error


def network_from(kind: type[T], card: Card) -> T:
    """Returns the architecture dataclass ``kind`` filled from the card's [network] table.

    Raises:
        UserError: the table holds a key that the family does not know.
    """
    known = {field.name for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key in card.network:
        if key not in known:
            raise UserError(f'unknown key "{key}" in [network].', where=str(card.path), hint=suggest(key, known))
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in card.network.items()}
    return kind(**values)


def count_parameters(*modules: nn.Module) -> int:
    """Returns the number of parameters of all modules together."""
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def to_uint8(images: Tensor) -> Tensor:
    """Rounds float ``(B, 3, H, W)`` in [-1, 1] to uint8, as half-up rounding of ``127.5 x + 127.5``."""
    return ((images.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
