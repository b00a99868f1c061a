"""BigGAN-deep (Brock et al., arXiv 1809.11096, Appendix B, Fig. 16 and Table 8) at real size, its generator alone.

Spectral normalisation divides a trained weight by a constant at inference, and so is left out; batch normalisation uses
stored statistics. (The published model stores 51 sets of them, one for each truncation: choosing one costs nothing.)
Weights are random: there are none to load here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trilemma.card import Precision
from trilemma.families.class_labels import class_labels
from trilemma.families.preparing import cast, compile_in_place
from trilemma.families.random_weights import check_random, random_network
from trilemma.families.weights import count_parameters, network_from, to_uint8
from trilemma.generator import GeneratorInfo, Knob, SampleStreams, check_batch, resolve_knobs
from trilemma.stages import SAMPLE, TEXT, stage

if TYPE_CHECKING:
    from trilemma.card import Card

KNOBS = (
    Knob(
        name="truncation", kind="float", default=1.0, minimum=0.0, maximum=1.0,
        description="factor on the latent z, normal and cut off at 2: lower trades diversity for quality",
    ),
)  # fmt: skip
CUT_OFF = 2.0
START = 4  # the side of the first map
EPSILON = 1e-4


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

    def __init__(self, width: int, condition: int) -> None:
        super().__init__()
        self.gain = nn.Linear(condition, width, bias=False)
        self.shift = nn.Linear(condition, width, bias=False)
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, x_BCHW: Tensor, condition_BD: Tensor) -> Tensor:
        """Returns a map of the same shape."""
        gain_BC = (1 + self.gain(condition_BD)) * (self.running_var + EPSILON).rsqrt()
        shift_BC = self.shift(condition_BD) - self.running_mean * gain_BC
        normed: Tensor = x_BCHW * gain_BC[:, :, None, None] + shift_BC[:, :, None, None]
        return normed


class Block(nn.Module):
    """A residual bottleneck of 1x1, 3x3, 3x3 and 1x1 convolutions; the skip keeps the first ``after`` channels."""

    def __init__(self, before: int, after: int, network: BigganNetwork, *, doubles: bool) -> None:
        super().__init__()
        middle = before // network.ratio
        condition = network.latent + network.embedding
        self.norms = nn.ModuleList(ConditionalNorm(width, condition) for width in (before, middle, middle, middle))
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
        self.norm = nn.BatchNorm2d(widths[-1], eps=EPSILON)
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


def parts(card: Card) -> dict[str, nn.Module]:
    """Returns the whole network by the name of the card's ``[[parts]]``."""
    return {"generator": GeneratorNetwork(network_from(BigganNetwork, card))}


class Biggan:
    """The registered model: one pass of the generator per image."""

    def __init__(self, card: Card, device: str) -> None:
        network = network_from(BigganNetwork, card)
        self.network = random_network("generator", partial(GeneratorNetwork, network), card, device)
        self.latent, self.classes, self.device = network.latent, network.classes, device
        self.evaluations = 0
        self.info = GeneratorInfo(
            name=card.name, family="biggan", resolution=network.resolution, knobs=KNOBS,
            parameters=count_parameters(self.network), capabilities=frozenset({"bf16", "fp16", "compile"}),
        )  # fmt: skip

    def prepare(self, *, precision: Precision, compiled: bool) -> None:
        """See :class:`trilemma.generator.Preparable`."""
        cast([self.network], precision)
        if compiled:
            compile_in_place([self.network])

    @torch.no_grad()
    def generate(self, prompts: Sequence[str], seeds: Sequence[int], **knobs: float) -> Tensor:
        """See :class:`trilemma.generator.Generator`."""
        check_batch(prompts, seeds)
        settings = resolve_knobs(self.info.knobs, knobs)
        with stage(TEXT):
            class_B = class_labels(prompts, self.classes).to(self.device)
        with stage(SAMPLE):
            z_BZ = truncated_normal(SampleStreams(seeds), self.latent) * settings["truncation"]
            images = self.network(z_BZ.to(class_B.device, self.network.start.weight.dtype), class_B)
        self.evaluations += len(prompts)
        return to_uint8(images)


def truncated_normal(streams: SampleStreams, count: int) -> Tensor:
    """Returns float32 ``(B, count)`` of normal numbers that lie within the cut-off, by inverting their distribution."""
    below = torch.special.ndtr(torch.tensor(-CUT_OFF, dtype=torch.float64))
    drawn: Tensor = torch.special.ndtri(below + streams.uniform(count) * (1 - 2 * below))
    return drawn.float()


def load(card: Card, device: str) -> Biggan:
    """Builds the model that a card describes."""
    check_random(card)
    return Biggan(card, device)
