"""VAR as a registered model: tokenizer, transformer and sampler (arXiv 2404.02905)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from trilemma.card import Precision
from trilemma.errors import UserError
from trilemma.families.checkpoints import read_checkpoint
from trilemma.families.class_prompts import ClassPrompts
from trilemma.families.preparing import cast, channels_last, compile_function, compile_in_place
from trilemma.families.published_files import locate
from trilemma.families.random_weights import random_network, undrawn_network
from trilemma.families.replaying import Replayed
from trilemma.families.sampling import guide, kept_probabilities, sample_categorical
from trilemma.families.taming_parts import AutoencoderNetwork, build_decoder, build_encoder
from trilemma.families.text import TextEncoder
from trilemma.families.var.conditions import ClassCondition, TextCondition
from trilemma.families.var.official import USAGE, guidance_knobs, strength, tokenizer_tensors, transformer_tensors
from trilemma.families.var.quantizer import MultiScaleQuantizer
from trilemma.families.var.smooth import SMOOTH, mixed_codes
from trilemma.families.var.transformer import Sampling, VarTransformer, VarTransformerNetwork
from trilemma.families.vqar import KNOBS
from trilemma.families.weights import count_parameters, fit_weights, load_weights, network_from, to_uint8
from trilemma.generator import GeneratorInfo, SampleStreams, check_batch, resolve_knobs
from trilemma.stages import DECODE, SAMPLE, TEXT, stage

if TYPE_CHECKING:
    from trilemma.card import Card

T = TypeVar("T")


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
    attention: tuple[int, ...] = ()
    groups: int = 8
    classes: int = 0

    @property
    def autoencoder(self) -> AutoencoderNetwork:
        """The convolutional part."""
        return AutoencoderNetwork(
            resolution=self.resolution, channels=self.channels, multipliers=self.multipliers,
            res_blocks=self.res_blocks, latent=self.latent, attention=self.attention, groups=self.groups,
        )  # fmt: skip

    def transformer(self, text_width: int) -> VarTransformerNetwork:
        """The transformer, in class mode where there are classes, else in text mode."""
        return VarTransformerNetwork(
            codes=self.codes, code_width=self.latent, scales=self.scales, width=self.width, depth=self.depth,
            heads=self.heads, classes=self.classes, text_width=text_width, shared_ada=self.shared_ada,
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
        latent_BCHW = latent_BCHW.to(self.post_quant_conv.weight.dtype)
        image: Tensor = self.decoder(self.post_quant_conv(latent_BCHW))
        return image

    def forward(self, images_B3HW: Tensor) -> Tensor:
        """Encodes, quantises and decodes."""
        *_, (_, _, total) = self.quantize.encode(self.latent(images_B3HW))
        return self.decode(total)


Networks = tuple[TextCondition | ClassCondition, MultiScaleTokenizer, VarTransformer]


def _trained(network: VarNetwork, card: Card, device: str) -> Networks:
    text = TextEncoder(card.path).to(device)
    tokenizer = MultiScaleTokenizer(network, with_encoder=False).eval().requires_grad_(False)
    transformer = VarTransformer(network.transformer(text.width)).eval().requires_grad_(False)
    load_weights(tokenizer, card.path / "decoder.safetensors")
    load_weights(transformer, card.path / "transformer.safetensors")
    return TextCondition(text), tokenizer.to(device), transformer.to(device)


def _random(network: VarNetwork, card: Card, device: str) -> Networks:
    if not network.classes:
        raise UserError("random weights need classes: captions need a trained text encoder.", where=str(card.path))
    build = partial(MultiScaleTokenizer, network, with_encoder=False)
    # The sum of all scales stays in float32, whatever the decoder's precision.
    tokenizer = random_network("tokenizer", build, card, device, precision="fp32")
    transformer = random_network("transformer", lambda: VarTransformer(network.transformer(0)), card, device)
    return ClassCondition(ClassPrompts(card, network.classes), device), tokenizer, transformer


def _official(network: VarNetwork, card: Card, device: str) -> Networks:
    """Of the official checkpoints: class-conditional, and float32 whatever the file holds."""
    first, second = locate(card, "tokenizer"), locate(card, "transformer")
    tokenizer = undrawn_network(partial(MultiScaleTokenizer, network, with_encoder=False), device)
    fit_weights(tokenizer, tokenizer_tensors(read_checkpoint(first), first), first, computed=(USAGE,))
    transformer = undrawn_network(lambda: VarTransformer(network.transformer(0)), device)
    fit_weights(transformer, transformer_tensors(read_checkpoint(second), second), second)
    return ClassCondition(ClassPrompts(card, network.classes), device), tokenizer, transformer


def parts(card: Card) -> dict[str, nn.Module]:
    """Returns the whole networks of a card with random weights by the names of its ``[[parts]]``, encoder included."""
    network = network_from(VarNetwork, card)
    return {"transformer": VarTransformer(network.transformer(0)), "tokenizer": MultiScaleTokenizer(network)}


class Var:
    """The registered model: one evaluation of the transformer per scale, two with guidance.

    The guidance scale is the same at every scale of the picture. The official sampler lets it rise linearly from none;
    a card's ``options.guidance_schedule = "linear"`` does that, ending at ``guidance_scale``. With classes and without
    random weights the networks are those of official checkpoints, ``options.transformer`` and ``options.tokenizer``.
    """

    def __init__(self, card: Card, device: str) -> None:
        network = network_from(VarNetwork, card)
        self.linear = card.options.get("guidance_schedule", "constant") == "linear"
        official = bool(network.classes) and not card.random_weights
        build = _random if card.random_weights else _official if official else _trained
        self.condition, self.tokenizer, self.transformer = build(network, card, device)
        knobs = guidance_knobs(KNOBS, card.options, str(card.path)) if self.linear else KNOBS
        channels_last([self.tokenizer])
        self.draw: Callable[..., Tensor] = self._last_latent
        self.scales = network.scales
        self.evaluations = 0
        self.info = GeneratorInfo(
            name=card.name, family="var", resolution=network.resolution, knobs=(*knobs, *[SMOOTH] * official),
            parameters=count_parameters(self.tokenizer, self.transformer, self.condition),
            capabilities=frozenset({"trace", "bf16", "fp16", "compile"}) | self.condition.capabilities,
        )  # fmt: skip

    def prepare(self, *, precision: Precision, compiled: bool) -> None:
        """See :class:`trilemma.generator.Preparable`. The sum of all scales stays in float32: it loses small terms."""
        cast([self.condition, self.transformer, self.tokenizer.post_quant_conv, self.tokenizer.decoder], precision)
        if compiled:
            compile_in_place([*self.condition.networks, self.tokenizer.decoder])
            for block in self.transformer.blocks:
                block.forward = compile_function(block.forward)
            if self.transformer.pos_1LC.device.type == "cuda":
                self.draw = Replayed(self.draw)

    @torch.no_grad()
    def generate(self, prompts: Sequence[str], seeds: Sequence[int], **knobs: float) -> Tensor:
        """See :class:`trilemma.generator.Generator`."""
        return self._decode(self._sample(self.draw, prompts, seeds, knobs))

    @torch.no_grad()
    def trace(self, prompts: Sequence[str], seeds: Sequence[int], **knobs: float) -> list[Tensor]:
        """Returns the picture that the scales so far decode to, after each scale."""
        return [self._decode(latent) for _, latent in self._sample(self._scales, prompts, seeds, knobs)]

    def _sample(
        self, draw: Callable[..., T], prompts: Sequence[str], seeds: Sequence[int], knobs: dict[str, float]
    ) -> T:
        check_batch(prompts, seeds)
        settings = resolve_knobs(self.info.knobs, knobs)
        scale = settings.pop("guidance_scale")
        with stage(TEXT):
            given, guided = self.condition(prompts, scale)
        with stage(SAMPLE):
            streams = SampleStreams(seeds)
            uniform_BL = streams.uniform(self.transformer.network.tokens).to(given.device)
            if settings.pop(SMOOTH.name, 0):  # draws numbers at every scale, which no recorded graph does
                plain: Callable[..., Any] = draw.function if isinstance(draw, Replayed) else draw
                draw = partial(plain, smoothed=streams)
            self.evaluations += len(given) * len(self.scales)
            return draw(given, uniform_BL, guidance_scale=scale if guided else None, **settings)

    def _last_latent(self, given: Tensor, uniform_BL: Tensor, **settings: Any) -> Tensor:
        *_, (_, latent_BCHW) = self._scales(given, uniform_BL, **settings)
        return latent_BCHW

    def _scales(
        self,
        given: Tensor,
        uniform_BL: Tensor,
        *,
        guidance_scale: float | None,
        smoothed: SampleStreams | None = None,
        **settings: Any,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields after each scale its indices ``(B, s * s)`` and the sum of the codes so far, ``(B, C, H, W)``."""
        sampling, quantize = Sampling(self.transformer, given), self.tokenizer.quantize
        total, inputs = torch.zeros((), device=given.device), None
        uniforms = uniform_BL.split([side**2 for side in self.scales], dim=1)
        for place, (side, uniform_BT) in enumerate(zip(self.scales, uniforms, strict=True)):
            if place:
                inputs = quantize.next_inputs(total, side)
                inputs = inputs if guidance_scale is None else inputs.repeat(2, 1, 1)
            logits = self.transformer.step(sampling, inputs)
            logits = logits if guidance_scale is None else guide(logits, self._strength(guidance_scale, place))
            drawn = sample_categorical(logits.flatten(0, 1), uniform_BT.flatten(), **settings)
            indices_BT = drawn.view(uniform_BT.shape)
            codes = quantize.look_up(indices_BT, place)
            if smoothed is not None and settings["temperature"] > 0:
                codes = self._mixed(logits, smoothed, place, settings)
            total = total + quantize.grow(codes, place)
            yield indices_BT, total

    def _strength(self, scale: float, place: int) -> float:
        return strength(scale, place, len(self.scales), linear=self.linear)

    def _mixed(self, logits_BTV: Tensor, streams: SampleStreams, place: int, settings: dict[str, Any]) -> Tensor:
        """In place of the codes of one scale: mixtures of codes, ``(B, C, s, s)``."""
        _, tokens, codes = logits_BTV.shape
        probability_NV = kept_probabilities(logits_BTV.flatten(0, 1), **settings)
        uniform_NV = streams.uniform(tokens * codes).to(logits_BTV.device).view(-1, codes)
        ratio = place / max(len(self.scales) - 1, 1)
        mixed_NC = mixed_codes(probability_NV, uniform_NV, self.tokenizer.quantize.embedding.weight, ratio)
        side = self.scales[place]
        return mixed_NC.view(-1, side, side, mixed_NC.shape[1]).permute(0, 3, 1, 2)

    def _decode(self, latent_BCHW: Tensor) -> Tensor:
        with stage(DECODE):
            return to_uint8(self.tokenizer.decode(latent_BCHW))


def load(card: Card, device: str) -> Var:
    """Builds the model that a card describes."""
    return Var(card, device)
