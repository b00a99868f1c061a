"""Taming Transformers (Esser et al., arXiv 2012.09841): tokens one by one, then VQGAN's decoder.

What a picture is conditioned on is fed as a token in front of its own, with the token embedding that all share: a
class, as in the published ``cin_transformer``, or a start token, as in the unconditional ones. There is no guidance.
The weights are those of an official checkpoint (:mod:`.taming_checkpoint`), or random, of published size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from trilemma.card import Precision
from trilemma.families.cached_prior import advance, draw_tokens
from trilemma.families.checkpoints import read_checkpoint
from trilemma.families.class_prompts import ClassPrompts
from trilemma.families.preparing import cast, channels_last, compile_function, compile_in_place
from trilemma.families.published_files import locate
from trilemma.families.random_weights import random_network, undrawn_network
from trilemma.families.replaying import Replayed
from trilemma.families.taming_checkpoint import COMPUTED, Described, read_config, split_tensors
from trilemma.families.taming_network import TamingNetwork, Vqgan, build_gpt
from trilemma.families.vqar import KNOBS
from trilemma.families.weights import count_parameters, fit_weights, network_from, to_uint8
from trilemma.generator import GeneratorInfo, SampleStreams, check_batch, resolve_knobs
from trilemma.stages import DECODE, SAMPLE, TEXT, stage

if TYPE_CHECKING:
    from taming.modules.transformer.mingpt import GPT

    from trilemma.card import Card


def parts(card: Card) -> dict[str, nn.Module]:
    """Returns the whole networks by the names of the card's ``[[parts]]``, encoder included."""
    network = network_from(TamingNetwork, card)
    return {"transformer": build_gpt(network), "vqgan": Vqgan(network)}


class Taming:
    """The registered model: one evaluation of the transformer per token."""

    def __init__(self, card: Card, device: str) -> None:
        described, self.gpt, self.vqgan = (_random if card.random_weights else _official)(card, device)
        network, self.start = described.network, described.start
        self.classes = ClassPrompts(card, network.classes) if self.start is None else None
        self.draw: Callable[..., Tensor] = partial(draw_tokens, self.gpt, guidance_scale=None)
        self.side, self.device = network.side, device
        self.evaluations = 0
        self.info = GeneratorInfo(
            name=card.name, family="taming", resolution=network.resolution,
            knobs=tuple(knob for knob in KNOBS if knob.name != "guidance_scale"),
            parameters=count_parameters(self.gpt, self.vqgan),
            capabilities=frozenset({"bf16", "fp16", "compile"}) | self._conditioned(),
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
            first_BC = self.gpt.tok_emb(self._first_tokens(prompts, seeds).to(self.device))
        with stage(SAMPLE):
            uniform_BT = SampleStreams(seeds).uniform(self.side**2).to(self.device)
            tokens_BT = self.draw(first_BC, uniform_BT, **settings)
        self.evaluations += tokens_BT.numel()
        with stage(DECODE):
            return to_uint8(self.vqgan(tokens_BT.unflatten(1, (self.side, self.side))))

    def _conditioned(self) -> frozenset[str]:
        return frozenset({"unconditional"}) if self.classes is None else self.classes.capabilities

    def _first_tokens(self, prompts: Sequence[str], seeds: Sequence[int]) -> Tensor:
        """The class's number, or the start token, whatever the prompt."""
        if self.classes is None:
            assert self.start is not None
            return torch.full((len(prompts),), self.start)
        return self.classes.labels(prompts, seeds)


Networks = tuple[Described, "GPT", Vqgan]


def _random(card: Card, device: str) -> Networks:
    network = network_from(TamingNetwork, card)
    gpt = random_network("transformer", partial(build_gpt, network), card, device)
    vqgan = random_network("vqgan", partial(Vqgan, network, with_encoder=False), card, device)
    return Described(network=network, start=None), gpt, vqgan


def _official(card: Card, device: str) -> Networks:
    described = read_config(locate(card, "config"), card)
    path = locate(card, "checkpoint")
    for_gpt, for_vqgan = split_tensors(read_checkpoint(path), path)
    gpt = undrawn_network(partial(build_gpt, described.network), device)
    vqgan = undrawn_network(partial(Vqgan, described.network, with_encoder=False), device)
    fit_weights(gpt, for_gpt, path, computed=(COMPUTED,))
    fit_weights(vqgan, for_vqgan, path)
    channels_last([vqgan])
    return described, gpt, vqgan


def load(card: Card, device: str) -> Taming:
    """Builds the model that a card describes."""
    return Taming(card, device)
