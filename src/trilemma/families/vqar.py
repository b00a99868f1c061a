"""A VQ autoregressive model, next patch: a tokenizer and a GPT built of taming-transformers' modules.

The tokenizer is VQGAN's encoder and decoder around finite scalar quantisation, which needs no codebook loss and does
not collapse at this size. The GPT reads the caption as one embedding in front of the tokens in raster order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from trilemma.card import Precision
from trilemma.families.cached_prior import advance, draw_tokens
from trilemma.families.fsq import FiniteScalarQuantizer
from trilemma.families.preparing import cast, channels_last, compile_function, compile_in_place
from trilemma.families.replaying import Replayed
from trilemma.families.sampling import embed_for_guidance
from trilemma.families.taming_parts import AutoencoderNetwork, build_decoder, build_encoder
from trilemma.families.text import TextEncoder
from trilemma.families.weights import count_parameters, load_weights, network_from, to_uint8
from trilemma.generator import GeneratorInfo, Knob, SampleStreams, check_batch, resolve_knobs
from trilemma.stages import DECODE, SAMPLE, TEXT, stage

if TYPE_CHECKING:
    from trilemma.card import Card

KNOBS = (
    Knob(
        name="guidance_scale", kind="float", default=2.0, minimum=1.0, maximum=20.0,
        description="classifier-free guidance u + s (c - u) on the logits; 1 is none",
    ),
    Knob(
        name="temperature", kind="float", default=1.0, minimum=0.0, maximum=10.0,
        description="divides the logits; 0 takes the likeliest token",
    ),
    Knob(name="top_k", kind="int", default=0, minimum=0, maximum=1_000_000, description="keeps the k likeliest; 0 all"),
    Knob(name="top_p", kind="float", default=1.0, minimum=0.01, maximum=1.0, description="nucleus; 1 keeps all"),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class VqarNetwork:
    """Architecture numbers of the card's [network] table."""

    resolution: int = 32
    channels: int = 32
    multipliers: tuple[int, ...] = (1, 2, 2)
    res_blocks: int = 1
    latent: int = 16
    levels: tuple[int, ...] = (8, 5, 5, 5)
    layers: int = 6
    heads: int = 4
    width: int = 128
    dropout: float = 0.0

    @property
    def autoencoder(self) -> AutoencoderNetwork:
        """The convolutional part."""
        return AutoencoderNetwork(
            resolution=self.resolution, channels=self.channels, multipliers=self.multipliers,
            res_blocks=self.res_blocks, latent=self.latent,
        )  # fmt: skip

    @property
    def side(self) -> int:
        """Tokens along one side of the picture."""
        return self.resolution >> (len(self.multipliers) - 1)


class Tokenizer(nn.Module):
    """Pictures to tokens and back."""

    def __init__(self, network: VqarNetwork, *, with_encoder: bool = True) -> None:
        super().__init__()
        self.encoder = build_encoder(network.autoencoder) if with_encoder else None
        self.quant_conv = nn.Conv2d(network.latent, len(network.levels), 1) if with_encoder else None
        self.quantize = FiniteScalarQuantizer(network.levels)
        self.post_quant_conv = nn.Conv2d(len(network.levels), network.latent, 1)
        self.decoder = build_decoder(network.autoencoder)

    def encode(self, images_B3HW: Tensor) -> Tensor:
        """Returns codes ``(B, len(levels), h, w)`` in [-1, 1] of images in [-1, 1]."""
        assert self.encoder is not None and self.quant_conv is not None
        codes: Tensor = self.quantize(self.quant_conv(self.encoder(images_B3HW)))
        return codes

    def decode(self, codes_BCHW: Tensor) -> Tensor:
        """Returns images in about [-1, 1] of codes."""
        codes_BCHW = codes_BCHW.to(self.post_quant_conv.weight.dtype)
        image: Tensor = self.decoder(self.post_quant_conv(codes_BCHW))
        return image

    def forward(self, images_B3HW: Tensor) -> Tensor:
        """Encodes and decodes."""
        return self.decode(self.encode(images_B3HW))


class Prior(nn.Module):
    """taming's GPT over tokens, behind one embedding of the caption."""

    def __init__(self, network: VqarNetwork, text_width: int) -> None:
        super().__init__()
        from taming.modules.transformer.mingpt import GPT

        self.tokens = network.side**2
        self.text = nn.Linear(text_width, network.width)
        self.gpt = GPT(
            math.prod(network.levels), self.tokens, n_layer=network.layers, n_head=network.heads, n_embd=network.width,
            embd_pdrop=network.dropout, resid_pdrop=network.dropout, attn_pdrop=network.dropout,
        )  # fmt: skip

    def forward(self, text_BD: Tensor, tokens_BT: Tensor) -> Tensor:
        """Returns logits ``(B, T + 1, V)``: position t predicts token t from the caption and the tokens before it."""
        logits: Tensor = self.gpt(tokens_BT, embeddings=self.text(text_BD)[:, None])[0]
        return logits


class Vqar:
    """The registered model: one evaluation of the prior per token, two with guidance."""

    def __init__(self, card: Card, device: str) -> None:
        network = network_from(VqarNetwork, card)
        self.text = TextEncoder(card.path).to(device)
        self.tokenizer = Tokenizer(network, with_encoder=False).eval().requires_grad_(False)
        self.prior = Prior(network, self.text.width).eval().requires_grad_(False)
        load_weights(self.tokenizer, card.path / "decoder.safetensors")
        load_weights(self.prior, card.path / "prior.safetensors", computed=("attn.mask",))
        self.tokenizer.to(device)
        self.prior.to(device)
        channels_last([self.tokenizer])
        self.draw: Callable[..., Tensor] = partial(draw_tokens, self.prior.gpt)
        self.side = network.side
        self.evaluations = 0
        self.info = GeneratorInfo(
            name=card.name, family="vqar", resolution=network.resolution, knobs=KNOBS,
            parameters=count_parameters(self.tokenizer, self.prior, self.text),
            capabilities=frozenset({"trace", "bf16", "fp16", "compile"}),
        )  # fmt: skip

    def prepare(self, *, precision: Precision, compiled: bool) -> None:
        """See :class:`trilemma.generator.Preparable`."""
        cast([self.text, self.prior, self.tokenizer], precision)
        if compiled:
            compile_in_place([self.text.tower, self.tokenizer.decoder])
            # On a CPU the checks before each compiled block cost more than its fusion saves.
            if self.prior.text.weight.device.type == "cuda":
                self.draw = Replayed(partial(self.draw, advance=compile_function(advance)))

    @torch.no_grad()
    def generate(self, prompts: Sequence[str], seeds: Sequence[int], **knobs: float) -> Tensor:
        """See :class:`trilemma.generator.Generator`."""
        return self._decode(self._sample(prompts, seeds, knobs))

    @torch.no_grad()
    def trace(self, prompts: Sequence[str], seeds: Sequence[int], **knobs: float) -> list[Tensor]:
        """Returns the picture after each row of tokens; the rows to come are left at mid-grey."""
        whole = self._decode(self._sample(prompts, seeds, knobs))
        height = whole.shape[2] // self.side
        frames = []
        for row in range(1, self.side + 1):
            frame = torch.full_like(whole, 128)
            frame[:, :, : row * height] = whole[:, :, : row * height]
            frames.append(frame)
        return frames

    def _sample(self, prompts: Sequence[str], seeds: Sequence[int], knobs: dict[str, float]) -> Tensor:
        check_batch(prompts, seeds)
        settings = resolve_knobs(self.info.knobs, knobs)
        scale = settings.pop("guidance_scale")
        with stage(TEXT):
            text_BD, guided = embed_for_guidance(self.text, prompts, scale)
        with stage(SAMPLE):
            uniform_BT = SampleStreams(seeds).uniform(self.prior.tokens).to(text_BD.device)
            embedding_BC = self.prior.text(text_BD)
            self.evaluations += len(text_BD) * self.prior.tokens
            return self.draw(embedding_BC, uniform_BT, guidance_scale=scale if guided else None, **settings)

    def _decode(self, tokens_BT: Tensor) -> Tensor:
        with stage(DECODE):
            codes = self.tokenizer.quantize.lookup(tokens_BT.view(-1, self.side, self.side))
            return to_uint8(self.tokenizer.decode(codes))


def load(card: Card, device: str) -> Vqar:
    """Builds the model that a card describes."""
    return Vqar(card, device)
