"""VAR as a registered model: tokenizer, transformer and sampler (arXiv 2404.02905)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from trilemma.families.sampling import embed_for_guidance, guide, sample_categorical
from trilemma.families.taming_parts import AutoencoderNetwork, build_decoder, build_encoder
from trilemma.families.text import TextEncoder
from trilemma.families.var.quantizer import MultiScaleQuantizer
from trilemma.families.var.transformer import VarTransformer, VarTransformerNetwork
from trilemma.families.vqar import KNOBS
from trilemma.families.weights import count_parameters, load_weights, network_from, to_uint8
from trilemma.generator import GeneratorInfo, SampleStreams, check_batch, resolve_knobs

if TYPE_CHECKING:
    from trilemma.card import Card


@dataclass(frozen=True, kw_only=True)
class VarNetwork:
    """Architecture numbers of the card's [network] table."""

    resolution: int = 32
    channels: int = 32
    multipliers: tuple[int, ...] = (1, 2, 2)
    res_blocks: int = 1
    latent: int = 16
    codes: int = 512
    scales: tuple[int, ...] = (1, 2, 3, 4, 6, 8)
    depth: int = 6
    heads: int = 4
    width: int = 128
    shared_ada: bool = True

    @property
    def autoencoder(self) -> AutoencoderNetwork:
        """The convolutional part."""
        return AutoencoderNetwork(
            resolution=self.resolution, channels=self.channels, multipliers=self.multipliers,
            res_blocks=self.res_blocks, latent=self.latent,
        )  # fmt: skip

    def transformer(self, text_width: int) -> VarTransformerNetwork:
        """The transformer, in text mode."""
        return VarTransformerNetwork(
            codes=self.codes, code_width=self.latent, scales=self.scales, width=self.width, depth=self.depth,
            heads=self.heads, text_width=text_width, shared_ada=self.shared_ada,
        )  # fmt: skip


class MultiScaleTokenizer(nn.Module):
    """Pictures to the codes of every scale and back."""

    def __init__(self, network: VarNetwork, *, with_encoder: bool = True) -> None:
        super().__init__()
        self.encoder = build_encoder(network.autoencoder) if with_encoder else None
        self.quant_conv = nn.Conv2d(network.latent, network.latent, 3, padding=1) if with_encoder else None
        self.quantize = MultiScaleQuantizer(network.codes, network.latent, network.scales)
        self.post_quant_conv = nn.Conv2d(network.latent, network.latent, 3, padding=1)
        self.decoder = build_decoder(network.autoencoder)

    def latent(self, images_B3HW: Tensor) -> Tensor:
        """Returns the latent before quantisation, of images in [-1, 1]."""
        assert self.encoder is not None and self.quant_conv is not None
        latent: Tensor = self.quant_conv(self.encoder(images_B3HW))
        return latent

    def decode(self, latent_BCHW: Tensor) -> Tensor:
        """Returns images in about [-1, 1] of a sum of codes."""
        image: Tensor = self.decoder(self.post_quant_conv(latent_BCHW))
        return image

    def forward(self, images_B3HW: Tensor) -> Tensor:
        """Encodes, quantises and decodes."""
        *_, (_, _, total) = self.quantize.encode(self.latent(images_B3HW))
        return self.decode(total)


class Var:
    """The registered model: one evaluation of the transformer per scale, two with guidance.

    The guidance scale is the same at every scale of the picture. The official sampler lets it rise linearly from none;
    a card's ``options.guidance_schedule = "linear"`` does that, ending at ``guidance_scale``.
    """

    def __init__(self, card: Card, device: str) -> None:
        network = network_from(VarNetwork, card)
        self.linear = card.options.get("guidance_schedule", "constant") == "linear"
        self.text = TextEncoder(card.path).to(device)
        self.tokenizer = MultiScaleTokenizer(network, with_encoder=False).eval().requires_grad_(False)
        self.transformer = VarTransformer(network.transformer(self.text.width)).eval().requires_grad_(False)
        load_weights(self.tokenizer, card.path / "decoder.safetensors")
        load_weights(self.transformer, card.path / "transformer.safetensors")
        self.tokenizer.to(device)
        self.transformer.to(device)
        self.scales = network.scales
        self.evaluations = 0
        self.info = GeneratorInfo(
            name=card.name, family="var", resolution=network.resolution, knobs=KNOBS,
            parameters=count_parameters(self.tokenizer, self.transformer, self.text),
            capabilities=frozenset({"trace"}),
        )  # fmt: skip

    @torch.no_grad()
    def generate(self, prompts: Sequence[str], seeds: Sequence[int], **knobs: float) -> Tensor:
        """See :class:`trilemma.generator.Generator`."""
        return self._decode(self._sample(prompts, seeds, knobs))

    @torch.no_grad()
    def trace(self, prompts: Sequence[str], seeds: Sequence[int], **knobs: float) -> list[Tensor]:
        """Returns the picture that the scales so far decode to, after each scale."""
        indices = self._sample(prompts, seeds, knobs)
        return [self._decode(indices[: count + 1]) for count in range(len(self.scales))]

    def _sample(self, prompts: Sequence[str], seeds: Sequence[int], knobs: dict[str, float]) -> list[Tensor]:
        check_batch(prompts, seeds)
        settings = resolve_knobs(self.info.knobs, knobs)
        scale = settings.pop("guidance_scale")
        text_BD, guided = embed_for_guidance(self.text, prompts, scale)
        uniform_BL = SampleStreams(seeds).uniform(self.transformer.network.tokens).to(text_BD.device)
        condition = self.transformer.condition(text_BD)
        caches = self.transformer.start(len(text_BD))
        indices: list[Tensor] = []
        inputs: Tensor | None = None
        for place, side in enumerate(self.scales):
            logits = self.transformer.step(condition, inputs, caches)
            logits = guide(logits, self._strength(scale, place)) if guided else logits
            end = caches[0].length
            drawn = sample_categorical(logits.flatten(0, 1), uniform_BL[:, end - side**2 : end].flatten(), **settings)
            indices.append(drawn.view(len(prompts), -1))
            if place + 1 < len(self.scales):
                inputs = self._next_inputs(indices)
                inputs = torch.cat([inputs, inputs]) if guided else inputs
        self.evaluations += len(text_BD) * len(self.scales)
        return indices

    def _next_inputs(self, indices: list[Tensor]) -> Tensor:
        coarse = self.tokenizer.quantize.decode(indices)
        side = self.scales[len(indices)]
        return self.tokenizer.quantize.shrink(coarse, side).flatten(2).transpose(1, 2)

    def _strength(self, scale: float, place: int) -> float:
        return 1 + (scale - 1) * place / (len(self.scales) - 1) if self.linear else scale

    def _decode(self, indices: list[Tensor]) -> Tensor:
        return to_uint8(self.tokenizer.decode(self.tokenizer.quantize.decode(indices)))
