"""Networks of published size without their weights: random numbers at the scale of trained ones, for timing alone.

Speed hardly depends on the values of weights, as long as they are none that arithmetic treats specially: zeros cost
less power, and activations that vanish or overflow are denormal or infinite. So every linear layer and convolution
keeps the size of what it is given, to within a small factor, and no gate or output layer is left at zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.overrides import TorchFunctionMode

from trilemma.errors import UserError
from trilemma.families.preparing import cast, channels_last
from trilemma.identity import digest

if TYPE_CHECKING:
    from trilemma.card import Card, Precision

M = TypeVar("M", bound=nn.Module)
SMALL = 0.02  # of what a network starts at zero: gates, biases, positions
_NORMS = (nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm)
_DRAWS = {
    nn.init.normal_, nn.init.uniform_, nn.init.kaiming_normal_, nn.init.kaiming_uniform_,
    Tensor.normal_, Tensor.uniform_,
}  # fmt: skip


class _WithoutDraws(TorchFunctionMode):
    """Zeros where a constructor would fill a tensor with random numbers that are drawn anew afterwards.

    Not what happens to be in memory: torch's truncated normal draws again until all numbers lie within its bounds.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _DRAWS:
            tensor: Tensor = args[0] if args else (kwargs or {})["tensor"]
            tensor.detach().zero_()
            return tensor
        return func(*args, **(kwargs or {}))


def check_random(card: Card) -> None:
    """Raises UserError unless the card's weights are random: these families have no trained ones here."""
    if not card.random_weights:
        raise UserError(f'the family "{card.family}" needs weights = "random".', where=str(card.path))


def random_network(
    name: str, make: Callable[[], M], card: Card, device: str, *, precision: Precision | None = None
) -> M:
    """Returns the network that ``make`` builds, on the device, with random weights in ``precision``, or the card's.

    They are a function of the model's name, of ``name`` and of the kind of device. Nothing is drawn twice.
    """
    seed = int(digest(["weights", card.model, name])[:16], 16) >> 1
    with _own_stream(device):
        torch.manual_seed(seed)
        network = _built(make, device)
        if (precision or card.precision) != "fp32":
            cast([network], precision or card.precision)
        fill(network)
    channels_last([network])
    return network.eval().requires_grad_(False)


def undrawn_network(make: Callable[[], M], device: str) -> M:
    """Returns the network that ``make`` builds, on the device, to be filled from a file: nothing is drawn before."""
    with _own_stream(device):
        return _built(make, device).eval().requires_grad_(False)


def _own_stream(device: str) -> AbstractContextManager[None]:
    devices = range(torch.cuda.device_count()) if torch.device(device).type == "cuda" else ()
    return torch.random.fork_rng(devices=list(devices))


def _built(make: Callable[[], M], device: str) -> M:
    with torch.device(device), _WithoutDraws():
        return make()


@torch.no_grad()
def fill(network: nn.Module) -> None:
    """Draws the weights of every layer of a network anew.

    Linear layers and convolutions get the standard deviation ``1 / sqrt(3 fan_in)`` of torch's own initialisation
    (He et al., arXiv 1502.01852, with a = sqrt(5)), embeddings 1, other parameters that are zero 0.02. Norms stay.
    """
    for part in network.modules():
        if isinstance(part, (nn.Linear, _ConvNd)):
            scale = 1 / math.sqrt(3 * part.weight[0].numel())
            for parameter in part.parameters(recurse=False):
                parameter.normal_(std=scale)
        elif isinstance(part, nn.Embedding):
            part.weight.normal_()
        elif not isinstance(part, _NORMS):
            for parameter in part.parameters(recurse=False):
                _fill_zeros(parameter)


def _fill_zeros(parameter: Tensor) -> None:
    if not parameter.any():
        parameter.normal_(std=SMALL)
