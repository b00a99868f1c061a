"""BigGAN-deep (Brock et al., arXiv 1809.11096): one pass of the generator from a latent, a class and a truncation.

The weights are the published ones (:mod:`.biggan_checkpoint`), with their statistics for each truncation; or random, of
published size, with one set of statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from trilemma.card import Precision
from trilemma.families.biggan_checkpoint import read_network, renamed, statistics
from trilemma.families.biggan_network import BigganNetwork, GeneratorNetwork
from trilemma.families.biggan_statistics import Statistics
from trilemma.families.checkpoints import read_checkpoint
from trilemma.families.class_prompts import ClassPrompts
from trilemma.families.preparing import cast, channels_last, compile_in_place
from trilemma.families.published_files import locate
from trilemma.families.random_weights import random_network, undrawn_network
from trilemma.families.weights import count_parameters, fit_weights, network_from, to_uint8
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
CHOSEN = ("running_mean", "running_var", "num_batches_tracked")  # set for each truncation


def parts(card: Card) -> dict[str, nn.Module]:
    """Returns the whole network by the name of the card's ``[[parts]]``."""
    return {"generator": GeneratorNetwork(network_from(BigganNetwork, card))}


class Biggan:
    """The registered model: one pass of the generator per image."""

    def __init__(self, card: Card, device: str) -> None:
        network, self.network, self.statistics = (_random if card.random_weights else _official)(card, device)
        self.latent, self.device = network.latent, device
        self.classes = ClassPrompts(card, network.classes)
        self.evaluations = 0
        self.info = GeneratorInfo(
            name=card.name, family="biggan", resolution=network.resolution, knobs=KNOBS,
            parameters=count_parameters(self.network),
            capabilities=frozenset({"bf16", "fp16", "compile"}) | self.classes.capabilities,
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
            class_B = self.classes.labels(prompts, seeds).to(self.device)
        with stage(SAMPLE):
            if self.statistics is not None:
                self.statistics.apply(settings["truncation"])
            z_BZ = truncated_normal(SampleStreams(seeds), self.latent) * settings["truncation"]
            images = self.network(z_BZ.to(class_B.device, self.network.start.weight.dtype), class_B)
        self.evaluations += len(prompts)
        return to_uint8(images)


def truncated_normal(streams: SampleStreams, count: int) -> Tensor:
    """Returns float32 ``(B, count)`` of normal numbers that lie within the cut-off, by inverting their distribution."""
    below = torch.special.ndtr(torch.tensor(-CUT_OFF, dtype=torch.float64))
    drawn: Tensor = torch.special.ndtri(below + streams.uniform(count) * (1 - 2 * below))
    return drawn.float()


Networks = tuple[BigganNetwork, GeneratorNetwork, Statistics | None]


def _random(card: Card, device: str) -> Networks:
    network = network_from(BigganNetwork, card)
    return network, random_network("generator", partial(GeneratorNetwork, network), card, device), None


def _official(card: Card, device: str) -> Networks:
    network = read_network(locate(card, "config"))
    path = locate(card, "checkpoint")
    tensors = read_checkpoint(path)
    generator = undrawn_network(partial(GeneratorNetwork, network), device)
    fit_weights(generator, renamed(tensors, network, path), path, computed=CHOSEN)
    channels_last([generator])
    known = statistics({name: value.to(device) for name, value in tensors.items()}, network, path)
    return network, generator, Statistics(generator, known)


def load(card: Card, device: str) -> Biggan:
    """Builds the model that a card describes."""
    return Biggan(card, device)
