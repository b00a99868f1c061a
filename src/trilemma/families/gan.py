"""A text-conditional GAN in the style of R3GAN (Huang et al., arXiv 2501.05441, §4): residual blocks of 1x1, 3x3 and
1x1 convolutions, fix-up initialisation, bilinear resampling, no normalisation anywhere.

Departures from the paper, which is class-conditional: the 3x3 convolutions are not grouped (CPUs run grouped ones
slowly), the last stage works on patches of pixels, the latent goes through a two-layer mapping network together with
the text embedding, and every stage of the generator
is scaled and shifted by a projection of that code. The empty prompt draws one of
``components`` learned embeddings from the sample's own stream: a discrete latent, because a continuous one can cover
separate modes only by bridging them (Khayatkhoei et al., arXiv 1806.00880).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trilemma.card import Precision
from trilemma.families.preparing import cast, channels_last, compile_in_place
from trilemma.families.text import TextEncoder
from trilemma.families.weights import count_parameters, load_weights, network_from, to_uint8
from trilemma.generator import GeneratorInfo, Knob, SampleStreams, check_batch, resolve_knobs
from trilemma.stages import SAMPLE, TEXT, stage

if TYPE_CHECKING:
    from trilemma.card import Card

KNOBS = (
    Knob(
        name="truncation", kind="float", default=1.0, minimum=0.0, maximum=1.0,
        description="factor on the latent z: lower trades diversity for quality",
    ),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class GanNetwork:
    """Architecture numbers of the card's [network] table.

    ``widths`` and ``blocks`` of the generator run from 4x4 upwards, those of the discriminator from the picture
    downwards to 4x4; the finest stage works on patches of ``patch`` x ``patch`` pixels.
    """

    resolution: int = 32
    widths: tuple[int, ...] = (224, 128, 96)
    blocks: tuple[int, ...] = (2, 2, 3)
    discriminator_widths: tuple[int, ...] = (64, 128, 192)
    discriminator_blocks: tuple[int, ...] = (1, 1, 2)
    patch: int = 2
    latent: int = 64
    mapping: int = 256
    components: int = 512


class Block(nn.Module):
    """A residual bottleneck; the last layer starts at zero and the others at ``depth ** -0.25`` (fix-up)."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(width, width, 1)
        self.mix = nn.Conv2d(width, width, 3, padding=1)
        self.reduce = nn.Conv2d(width, width, 1, bias=False)
        for layer in (self.expand, self.mix):
            assert layer.bias is not None
            nn.init.kaiming_normal_(layer.weight, a=0.2)
            layer.weight.data.mul_(depth**-0.25)
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.reduce.weight)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Returns a map of the same shape."""
        h = F.leaky_relu(self.expand(x_BCHW), 0.2)
        h = F.leaky_relu(self.mix(h), 0.2)
        residual: Tensor = self.reduce(h)
        return x_BCHW + residual


class GeneratorNetwork(nn.Module):
    """Latent and text embedding to an image in about [-1, 1]."""

    def __init__(self, network: GanNetwork, text_width: int) -> None:
        super().__init__()
        depth = sum(network.blocks)
        self.components = nn.Parameter(torch.randn(network.components, text_width))
        self.mapping = nn.Sequential(
            nn.Linear(network.latent + text_width, network.mapping), nn.LeakyReLU(0.2),
            nn.Linear(network.mapping, network.mapping), nn.LeakyReLU(0.2),
        )  # fmt: skip
        self.basis = nn.Parameter(torch.randn(network.widths[0], 4, 4))
        self.styles = nn.ModuleList(nn.Linear(network.mapping, 2 * width) for width in network.widths)
        self.stages = nn.ModuleList(
            nn.Sequential(*[Block(width, depth) for _ in range(count)])
            for width, count in zip(network.widths, network.blocks, strict=True)
        )
        self.shrink = nn.ModuleList(
            nn.Conv2d(a, b, 1, bias=False) for a, b in zip(network.widths, network.widths[1:], strict=False)
        )
        self.to_rgb = nn.Conv2d(network.widths[-1], 3 * network.patch**2, 3, padding=1)
        self.patch = network.patch

    def forward(self, z_BZ: Tensor, text_BD: Tensor) -> Tensor:
        """Returns float images ``(B, 3, R, R)`` of standard normal latents and text embeddings of any length."""
        code = self.mapping(torch.cat([z_BZ, F.normalize(text_BD, dim=-1) * math.sqrt(text_BD.shape[-1])], 1))
        x = self.stages[0](_styled(self.basis[None], self.styles[0](code)))
        for shrink, style, blocks in zip(self.shrink, list(self.styles)[1:], list(self.stages)[1:], strict=True):
            x = F.interpolate(shrink(x), scale_factor=2, mode="bilinear", align_corners=False)
            x = blocks(_styled(x, style(code)))
        return F.pixel_shuffle(self.to_rgb(x), self.patch)


def _styled(x_BCHW: Tensor, style_B2C: Tensor) -> Tensor:
    gain, bias = style_B2C[:, :, None, None].chunk(2, dim=1)
    return x_BCHW * (1 + gain) + bias


class Discriminator(nn.Module):
    """Scores an image against a text by projection (Miyato and Koyama, arXiv 1802.05637)."""

    def __init__(self, network: GanNetwork, text_width: int) -> None:
        super().__init__()
        widths, blocks = network.discriminator_widths, network.discriminator_blocks
        depth = sum(blocks)
        self.from_rgb = nn.Conv2d(3 * network.patch**2, widths[0], 3, padding=1)
        self.patch = network.patch
        self.stages = nn.ModuleList(
            nn.Sequential(*[Block(width, depth) for _ in range(count)])
            for width, count in zip(widths, blocks, strict=True)
        )
        self.grow = nn.ModuleList(nn.Conv2d(a, b, 1, bias=False) for a, b in zip(widths, widths[1:], strict=False))
        self.gather = nn.Conv2d(widths[-1], widths[-1], 4, groups=widths[-1])
        self.score = nn.Linear(widths[-1], 1)
        self.embed = nn.Linear(text_width, widths[-1])

    def features(self, image_B3HW: Tensor) -> Tensor:
        """Returns ``(B, C)``: all of the network that does not see the text."""
        x = self.stages[0](self.from_rgb(F.pixel_unshuffle(image_B3HW, self.patch)))
        for grow, blocks in zip(self.grow, list(self.stages)[1:], strict=True):
            x = blocks(grow(F.avg_pool2d(x, 2)))
        return F.leaky_relu(self.gather(x).flatten(1), 0.2)

    def judge(self, features_BC: Tensor, text_BD: Tensor) -> Tensor:
        """Returns ``(B,)`` scores of features against texts."""
        text = F.normalize(text_BD, dim=-1) * math.sqrt(text_BD.shape[-1])
        embedded: Tensor = self.embed(text)
        match = (features_BC * embedded).sum(1) / math.sqrt(features_BC.shape[1])
        score: Tensor = self.score(features_BC)[:, 0]
        return score + match

    def forward(self, image_B3HW: Tensor, text_BD: Tensor) -> Tensor:
        """Returns ``(B,)`` scores of images in [-1, 1] against texts: higher means real and matching."""
        return self.judge(self.features(image_B3HW), text_BD)


class Gan:
    """The registered model: one pass of the generator per image."""

    def __init__(self, card: Card, device: str) -> None:
        network = network_from(GanNetwork, card)
        self.text = TextEncoder(card.path).to(device)
        self.network = GeneratorNetwork(network, self.text.width).eval().requires_grad_(False)
        load_weights(self.network, card.path / "generator.safetensors")
        self.network.to(device)
        channels_last([self.network])
        self.latent = network.latent
        self.evaluations = 0
        self.info = GeneratorInfo(
            name=card.name, family="gan", resolution=network.resolution, knobs=KNOBS,
            parameters=count_parameters(self.network, self.text),
            capabilities=frozenset({"trace", "bf16", "fp16", "compile"}),
        )  # fmt: skip

    def prepare(self, *, precision: Precision, compiled: bool) -> None:
        """See :class:`trilemma.generator.Preparable`."""
        cast([self.text, self.network], precision)
        if compiled:
            compile_in_place([self.text.tower, self.network])

    @torch.no_grad()
    def generate(self, prompts: Sequence[str], seeds: Sequence[int], **knobs: float) -> Tensor:
        """See :class:`trilemma.generator.Generator`."""
        check_batch(prompts, seeds)
        settings = resolve_knobs(self.info.knobs, knobs)
        with stage(TEXT):
            text_BD = self.text.pooled(prompts)
        with stage(SAMPLE):
            streams = SampleStreams(seeds)
            z_BZ = (streams.normal(self.latent) * settings["truncation"]).to(text_BD)
            component_B = (streams.uniform(1)[:, 0] * len(self.network.components)).long().to(text_BD.device)
            empty_B1 = torch.tensor([prompt == "" for prompt in prompts], device=text_BD.device)[:, None]
            text_BD = torch.where(empty_B1, self.network.components[component_B], text_BD)
            self.evaluations += len(prompts)
            return to_uint8(self.network(z_BZ, text_BD))

    def trace(self, prompts: Sequence[str], seeds: Sequence[int], **knobs: float) -> list[Tensor]:
        """Returns the picture alone: there is one pass, and nothing to see before its end."""
        return [self.generate(prompts, seeds, **knobs)]


def load(card: Card, device: str) -> Gan:
    """Builds the model that a card describes."""
    return Gan(card, device)
