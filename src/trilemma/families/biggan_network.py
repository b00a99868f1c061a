"""The generator of BigGAN-deep (Brock et al., arXiv 1809.11096, Appendix B, Fig. 16 and Table 8).

Spectral normalisation divides a trained weight by a constant at inference, and so is left out; batch normalisation uses
stored statistics.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

START = 4  # the side of the first map


@dataclass(frozen=True, kw_only=True)
class BigganNetwork:
    """Architecture numbers of the card's [network] table.

    ``multipliers`` times ``channels`` is the width at 4x4 and after each doubling; ``attention`` is the resolution with
    self-attention; a bottleneck is ``ratio`` times narrower than its block.
    """

    channels: int = 128
    multipliers: tuple[int, ...] = (16, 16, 8, 8, 4, 2, 1)
    attention: int = 64
    ratio: int = 4
    latent: int = 128
    embedding: int = 128
    classes: int = 1000
    epsilon: float = 1e-4

    @property
    def blocks_before_attention(self) -> int:
        """Two blocks at each resolution lie before that of self-attention."""
        return 2 * (self.attention // START).bit_length() - 2

    @property
    def resolution(self) -> int:
        """The side of the pictures."""
        return START << (len(self.multipliers) - 1)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels from 4x4 upwards."""
        return tuple(multiplier * self.channels for multiplier in self.multipliers)


class ConditionalNorm(nn.Module):
    """Batch normalisation by stored statistics, its gain (centred at 1) and shift linear in the condition."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, width: int, condition: int, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.gain = nn.Linear(condition, width, bias=False)
        self.shift = nn.Linear(condition, width, bias=False)
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, x_BCHW: Tensor, condition_BD: Tensor) -> Tensor:
        """Returns a map of the same shape."""
        gain_BC = (1 + self.gain(condition_BD)) * (self.running_var + self.epsilon).rsqrt()
        shift_BC = self.shift(condition_BD) - self.running_mean * gain_BC
        normed: Tensor = x_BCHW * gain_BC[:, :, None, None] + shift_BC[:, :, None, None]
        return normed


class Block(nn.Module):
    """A residual bottleneck of 1x1, 3x3, 3x3 and 1x1 convolutions; the skip keeps the first ``after`` channels."""

    def __init__(self, before: int, after: int, network: BigganNetwork, *, doubles: bool) -> None:
        super().__init__()
        middle = before // network.ratio
        condition = network.latent + network.embedding
        widths = (before, middle, middle, middle)
        self.norms = nn.ModuleList(ConditionalNorm(width, condition, network.epsilon) for width in widths)
        self.reduce = nn.Conv2d(before, middle, 1)
        self.mix = nn.Conv2d(middle, middle, 3, padding=1)
        self.mix_again = nn.Conv2d(middle, middle, 3, padding=1)
        self.expand = nn.Conv2d(middle, after, 1)
        self.after, self.doubles = after, doubles

    def forward(self, x_BCHW: Tensor, condition_BD: Tensor) -> Tensor:
        """Returns ``(B, after, H, W)``, or ``(B, after, 2 H, 2 W)``."""
        h = self.reduce(F.relu(self.norms[0](x_BCHW, condition_BD)))
        h = F.relu(self.norms[1](h, condition_BD))
        h = self.mix(_doubled(h) if self.doubles else h)
        h = self.mix_again(F.relu(self.norms[2](h, condition_BD)))
        h = self.expand(F.relu(self.norms[3](h, condition_BD)))
        kept = x_BCHW[:, : self.after]
        residual: Tensor = h
        return residual + (_doubled(kept) if self.doubles else kept)


def _doubled(x_BCHW: Tensor) -> Tensor:
    return F.interpolate(x_BCHW, scale_factor=2, mode="nearest")


class SelfAttention(nn.Module):
    """The non-local block of SAGAN (Zhang et al., arXiv 1805.08318, §3), keys and values at half the resolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(width, width // 8, 1, bias=False)
        self.key = nn.Conv2d(width, width // 8, 1, bias=False)
        self.value = nn.Conv2d(width, width // 2, 1, bias=False)
        self.project = nn.Conv2d(width // 2, width, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Returns a map of the same shape."""
        query, key, value = self.query(x_BCHW), F.max_pool2d(self.key(x_BCHW), 2), F.max_pool2d(self.value(x_BCHW), 2)
        q_BLC, k_BLC, v_BLC = (part.flatten(2).transpose(1, 2) for part in (query, key, value))
        mixed_BLC = F.scaled_dot_product_attention(q_BLC, k_BLC, v_BLC, scale=1.0)  # SAGAN does not divide
        mixed = mixed_BLC.transpose(1, 2).unflatten(2, x_BCHW.shape[2:])
        projected: Tensor = self.project(mixed)
        return x_BCHW + self.gamma * projected


class GeneratorNetwork(nn.Module):
    """Latent and class to an image in [-1, 1]; two blocks at each resolution, the second of which doubles it."""

    def __init__(self, network: BigganNetwork) -> None:
        super().__init__()
        widths = network.widths
        self.embedding = nn.Embedding(network.classes, network.embedding)
        self.start = nn.Linear(network.latent + network.embedding, START * START * widths[0])
        self.blocks = nn.ModuleList()
        self.attention_after = -1
        for number, (before, after) in enumerate(pairwise(widths)):
            self.blocks.append(Block(before, before, network, doubles=False))
            self.blocks.append(Block(before, after, network, doubles=True))
            if START << (number + 1) == network.attention:
                self.attention, self.attention_after = SelfAttention(after), len(self.blocks) - 1
        self.norm = nn.BatchNorm2d(widths[-1], eps=network.epsilon)
        self.to_rgb = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(self, z_BZ: Tensor, class_B: Tensor) -> Tensor:
        """Returns float images ``(B, 3, R, R)``."""
        condition_BD = torch.cat([z_BZ, self.embedding(class_B)], 1)
        x = self.start(condition_BD).unflatten(1, (-1, START, START))
        for number, block in enumerate(self.blocks):
            x = block(x, condition_BD)
            x = self.attention(x) if number == self.attention_after else x
        images: Tensor = self.to_rgb(F.relu(self.norm(x))).tanh()
        return images
