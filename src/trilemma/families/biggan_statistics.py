"""The statistics of BigGAN-deep's norms, which go with the truncation (arXiv 1809.11096, Appendix C.1)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from trilemma.families.biggan_network import ConditionalNorm


class Statistics:
    """Means and variances of every norm at n truncations from 0 to 1; between two of them they are interpolated.

    pytorch-pretrained-BigGAN weighs the two neighbours the other way round; at its own truncations, the multiples of
    1 / (n - 1), the two agree.
    """

    def __init__(self, network: nn.Module, known: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        self.known = [(_norm(network, name), means, variances) for name, (means, variances) in known.items()]

    @torch.no_grad()
    def apply(self, truncation: float) -> None:
        """Sets the network's norms to their statistics at a truncation in [0, 1]."""
        for norm, means_NC, variances_NC in self.known:
            assert norm.running_mean is not None and norm.running_var is not None
            norm.running_mean.copy_(at(means_NC, truncation))
            norm.running_var.copy_(at(variances_NC, truncation))


Norm = ConditionalNorm | nn.BatchNorm2d


def _norm(network: nn.Module, name: str) -> Norm:
    norm = network.get_submodule(name)
    assert isinstance(norm, (ConditionalNorm, nn.BatchNorm2d))
    return norm


def at(values_NC: Tensor, truncation: float) -> Tensor:
    """Returns ``(C,)`` at a truncation, of values at n truncations spaced evenly from 0 to 1."""
    steps = len(values_NC) - 1
    place = round(truncation * steps, 9)  # 0.58 * 50 is a little less than 29
    below = min(math.floor(place), max(steps - 1, 0))
    return values_NC[below].lerp(values_NC[min(below + 1, steps)], place - below)
