"""A VQ autoregressive model, next patch: a tokenizer and a GPT built of taming-transformers' modules.

The tokenizer is VQGAN's encoder and decoder around finite scalar quantisation, which needs no codebook loss and does
not collapse at this size. The GPT reads the caption as one embedding in front of the tokens in raster order. Sampling
keeps keys and values in a cache that is allocated once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trilemma.families.fsq import FiniteScalarQuantizer
from trilemma.families.sampling import embed_for_guidance, guide, sample_categorical
from trilemma.families.taming_parts import AutoencoderNetwork, build_decoder, build_encoder
from trilemma.families.text import TextEncoder
from trilemma.families.weights import count_parameters, load_weights, network_from, to_uint8
from trilemma.generator import GeneratorInfo, Knob, SampleStreams, check_batch, resolve_knobs

if TYPE_CHECKING:
    from taming.modules.transformer.mingpt import CausalSelfAttention

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


class CachedPrior:
    """The same network, one token at a time, over keys and values ``(B, heads, T, width / heads)`` that are allocated
    once.
    """

    def __init__(self, prior: Prior, batch: int) -> None:
        self.prior = prior
        self.heads = prior.gpt.config.n_head
        weight = prior.text.weight
        shape = (len(prior.gpt.blocks), 2, batch, self.heads, prior.tokens, weight.shape[0] // self.heads)
        self.cache_N2BHTC = torch.zeros(shape, dtype=weight.dtype, device=weight.device)
        self.position = 0

    def start(self, text_BD: Tensor) -> Tensor:
        """Feeds the caption and returns the logits ``(B, V)`` of the first token."""
        return self._advance(self.prior.text(text_BD))

    def step(self, tokens_B: Tensor) -> Tensor:
        """Feeds one token for each sample and returns the logits ``(B, V)`` of the next."""
        return self._advance(self.prior.gpt.tok_emb(tokens_B))

    def _advance(self, x_BC: Tensor) -> Tensor:
        gpt = self.prior.gpt
        x_BC = x_BC + gpt.pos_emb[0, self.position]
        for block, cache in zip(gpt.blocks, self.cache_N2BHTC, strict=True):
            x_BC = x_BC + self._attend(block.attn, block.ln1(x_BC), cache)
            x_BC = x_BC + block.mlp(block.ln2(x_BC))
        self.position += 1
        logits: Tensor = gpt.head(gpt.ln_f(x_BC))
        return logits

    def _attend(self, attention: CausalSelfAttention, x_BC: Tensor, cache_2BHTC: Tensor) -> Tensor:
        batch, width = x_BC.shape
        heads = (batch, self.heads, width // self.heads)
        cache_2BHTC[0, :, :, self.position] = attention.key(x_BC).view(heads)
        cache_2BHTC[1, :, :, self.position] = attention.value(x_BC).view(heads)
        past = cache_2BHTC[:, :, :, : self.position + 1]
        query = attention.query(x_BC).view(batch, self.heads, 1, -1)
        y = F.scaled_dot_product_attention(query, past[0], past[1])
        projected: Tensor = attention.proj(y.reshape(batch, width))
        return projected


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
        self.side = network.side
        self.evaluations = 0
        self.info = GeneratorInfo(
            name=card.name, family="vqar", resolution=network.resolution, knobs=KNOBS,
            parameters=count_parameters(self.tokenizer, self.prior, self.text), capabilities=frozenset({"trace"}),
        )  # fmt: skip

    @torch.no_grad()
    def generate(self, prompts: Sequence[str], seeds: Sequence[int], **knobs: float) -> Tensor:
        """See :class:`trilemma.generator.Generator`."""
        return self._decode(self._sample(prompts, seeds, knobs))

    @torch.no_grad()
    def trace(self, prompts: Sequence[str], seeds: Sequence[int], **knobs: float) -> list[Tensor]:
        """Returns the picture after each row of tokens; the rows to come are left at mid-grey."""
        tokens_BT = self._sample(prompts, seeds, knobs)
        whole = self._decode(tokens_BT)
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
        text_BD, guided = embed_for_guidance(self.text, prompts, scale)
        uniform_BT = SampleStreams(seeds).uniform(self.prior.tokens).to(text_BD.device)
        cached = CachedPrior(self.prior, len(text_BD))
        logits = cached.start(text_BD)
        tokens: list[Tensor] = []
        for step in range(self.prior.tokens):
            token_B = sample_categorical(guide(logits, scale) if guided else logits, uniform_BT[:, step], **settings)
            tokens.append(token_B)
            if step + 1 < self.prior.tokens:
                logits = cached.step(torch.cat([token_B, token_B]) if guided else token_B)
        self.evaluations += len(text_BD) * self.prior.tokens
        return torch.stack(tokens, 1)

    def _decode(self, tokens_BT: Tensor) -> Tensor:
        codes = self.tokenizer.quantize.lookup(tokens_BT.view(-1, self.side, self.side))
        return to_uint8(self.tokenizer.decode(codes))


def load(card: Card, device: str) -> Vqar:
    """Builds the model that a card describes."""
    return Vqar(card, device)
