"""The class-conditional transformer of Taming Transformers (Esser et al., arXiv 2012.09841) and its VQGAN, real size.

The modules are taming-transformers' own. The class is fed as a token in front of the picture's tokens, with the token
embedding that all share, as in the published ``cin_transformer``; there is no guidance. Weights are random: there are
none to load here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from trilemma.card import Precision
from trilemma.families.cached_prior import advance, draw_tokens
from trilemma.families.class_labels import class_labels
from trilemma.families.preparing import cast, compile_function, compile_in_place
from trilemma.families.random_weights import check_random, random_network
from trilemma.families.replaying import Replayed
from trilemma.families.taming_parts import AutoencoderNetwork, build_decoder, build_encoder
from trilemma.families.vqar import KNOBS
from trilemma.families.weights import count_parameters, network_from, to_uint8
from trilemma.generator import GeneratorInfo, SampleStreams, check_batch, resolve_knobs
from trilemma.stages import DECODE, SAMPLE, TEXT, stage

if TYPE_CHECKING:
    from taming.modules.transformer.mingpt import GPT

    from trilemma.card import Card


@dataclass(frozen=True, kw_only=True)
class TamingNetwork:
    """Architecture numbers of the card's [network] table; ``codes`` are of width ``latent``."""

    resolution: int = 256
    channels: int = 128
    multipliers: tuple[int, ...] = (1, 1, 2, 2, 4)
    res_blocks: int = 2
    attention: tuple[int, ...] = (16,)
    groups: int = 32
    latent: int = 256
    codes: int = 16384
    layers: int = 48
    heads: int = 24
    width: int = 1536
    classes: int = 1000

    @property
    def autoencoder(self) -> AutoencoderNetwork:
        """The convolutional part."""
        return AutoencoderNetwork(
            resolution=self.resolution, channels=self.channels, multipliers=self.multipliers, groups=self.groups,
            res_blocks=self.res_blocks, latent=self.latent, attention=self.attention,
        )  # fmt: skip

    @property
    def side(self) -> int:
        """Tokens along one side of the picture."""
        return self.resolution >> (len(self.multipliers) - 1)


class Vqgan(nn.Module):
    """Codebook, decoder and, for counting, encoder."""

    def __init__(self, network: TamingNetwork, *, with_encoder: bool = True) -> None:
        super().__init__()
        self.encoder = build_encoder(network.autoencoder) if with_encoder else None
        self.quant_conv = nn.Conv2d(network.latent, network.latent, 1) if with_encoder else None
        self.codebook = nn.Embedding(network.codes, network.latent)
        self.post_quant_conv = nn.Conv2d(network.latent, network.latent, 1)
        self.decoder = build_decoder(network.autoencoder)

    def forward(self, tokens_BHW: Tensor) -> Tensor:
        """Returns images in about [-1, 1] of tokens."""
        codes_BCHW = self.codebook(tokens_BHW).permute(0, 3, 1, 2)
        images: Tensor = self.decoder(self.post_quant_conv(codes_BCHW))
        return images


def build_gpt(network: TamingNetwork) -> GPT:
    """The class and all tokens but the last are read, so that the block is as long as the picture has tokens."""
    from taming.modules.transformer.mingpt import GPT

    return GPT(
        network.codes, network.side**2, n_layer=network.layers, n_head=network.heads, n_embd=network.width
    )  # fmt: skip


def parts(card: Card) -> dict[str, nn.Module]:
    """Returns the whole networks by the names of the card's ``[[parts]]``, encoder included."""
    network = network_from(TamingNetwork, card)
    return {"transformer": build_gpt(network), "vqgan": Vqgan(network)}


class Taming:
    """The registered model: one evaluation of the transformer per token."""

    def __init__(self, card: Card, device: str) -> None:
        network = network_from(TamingNetwork, card)
        self.gpt = random_network("transformer", partial(build_gpt, network), card, device)
        self.vqgan = random_network("vqgan", partial(Vqgan, network, with_encoder=False), card, device)
        self.draw: Callable[..., Tensor] = partial(draw_tokens, self.gpt, guidance_scale=None)
        self.side, self.classes, self.device = network.side, network.classes, device
        self.evaluations = 0
        self.info = GeneratorInfo(
            name=card.name, family="taming", resolution=network.resolution,
            knobs=tuple(knob for knob in KNOBS if knob.name != "guidance_scale"),
            parameters=count_parameters(self.gpt, self.vqgan), capabilities=frozenset({"bf16", "fp16", "compile"}),
        )  # fmt: skip

    def prepare(self, *, precision: Precision, compiled: bool) -> None:
        """See :class:`trilemma.generator.Preparable`."""
        cast([self.gpt, self.vqgan], precision)
        if compiled:
            compile_in_place([self.vqgan])
            if torch.device(self.device).type == "cuda":
                self.draw = Replayed(partial(self.draw, advance=compile_function(advance)))

    @torch.no_grad()
    def generate(self, prompts: Sequence[str], seeds: Sequence[int], **knobs: float) -> Tensor:
        """See :class:`trilemma.generator.Generator`."""
        check_batch(prompts, seeds)
        settings = resolve_knobs(self.info.knobs, knobs)
        with stage(TEXT):
            class_BC = self.gpt.tok_emb(class_labels(prompts, self.classes).to(self.device))
        with stage(SAMPLE):
            uniform_BT = SampleStreams(seeds).uniform(self.side**2).to(self.device)
            tokens_BT = self.draw(class_BC, uniform_BT, **settings)
        self.evaluations += tokens_BT.numel()
        with stage(DECODE):
            return to_uint8(self.vqgan(tokens_BT.unflatten(1, (self.side, self.side))))


def load(card: Card, device: str) -> Taming:
    """Builds the model that a card describes."""
    check_random(card)
    return Taming(card, device)
