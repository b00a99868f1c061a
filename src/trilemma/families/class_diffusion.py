"""Class-conditional latent diffusion at real size: LDM-4 (Rombach et al., arXiv 2112.10752) and DiT-XL/2 (Peebles and
Xie, arXiv 2212.09748), of diffusers' modules and schedulers.

The card's [network] writes denoiser, autoencoder and scheduler out. Guidance goes over all channels of the noise; DiT's
learned variance is the conditional one. (The official DiT guides three of the four channels, "for exact
reproducibility".) The latents stay in float32, whatever the networks' precision. Weights are random: there are none to
load here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from trilemma.card import Precision
from trilemma.errors import UserError
from trilemma.families.class_prompts import ClassPrompts
from trilemma.families.diffusers_call import GUIDANCE, STEPS
from trilemma.families.diffusers_parts import AUTOENCODERS, DENOISERS, SCHEDULERS, build_part
from trilemma.families.preparing import cast, compile_in_place
from trilemma.families.random_weights import check_random, random_network
from trilemma.families.sampling import guide
from trilemma.families.weights import count_parameters, to_uint8
from trilemma.generator import GeneratorInfo, SampleStreams, check_batch, resolve_knobs
from trilemma.stages import DECODE, SAMPLE, TEXT, stage

if TYPE_CHECKING:
    from trilemma.card import Card


class Denoiser(nn.Module):
    """A denoiser that takes the number of a class, and the null class after the last.

    A UNet attends to a learned embedding of it. A DiT has its own; diffusers keeps a copy of DiT's one embedding in
    each block, and here all blocks share it, as published.
    """

    def __init__(self, card: Card) -> None:
        super().__init__()
        network = build_part(card, "denoiser", DENOISERS)
        self.embedding: nn.Embedding | None = None
        if hasattr(network, "transformer_blocks"):
            for block in network.transformer_blocks:
                block.norm1.emb = network.transformer_blocks[0].norm1.emb
        else:
            self.embedding = nn.Embedding(classes_of(card) + 1, network.config.cross_attention_dim)
        self.network = network

    def forward(self, latents_BCHW: Tensor, timestep_B: Tensor, labels_B: Tensor) -> Tensor:
        """Returns the prediction, with twice the channels where the variance is learned."""
        if self.embedding is None:
            given = {"class_labels": labels_B}
        else:
            given = {"encoder_hidden_states": self.embedding(labels_B)[:, None]}
        prediction: Tensor = self.network(latents_BCHW, timestep_B, **given, return_dict=False)[0]
        return prediction


def classes_of(card: Card) -> int:
    """Returns the number of classes that the card's network knows."""
    classes = card.network.get("classes")
    if not isinstance(classes, int):
        raise UserError("must be the number of classes.", where=f"{card.path}: network.classes")
    return classes


def build_autoencoder(card: Card, *, with_encoder: bool = True) -> Any:
    """Returns the autoencoder; sampling runs its decoder alone."""
    autoencoder = build_part(card, "autoencoder", AUTOENCODERS)
    if not with_encoder:
        del autoencoder.encoder, autoencoder.quant_conv
    return autoencoder


def parts(card: Card) -> dict[str, nn.Module]:
    """Returns the whole networks by the names of the card's ``[[parts]]``, encoder included."""
    return {"denoiser": Denoiser(card), "autoencoder": build_autoencoder(card)}


class ClassDiffusion:
    """The registered model: one evaluation of the denoiser per step, two with guidance."""

    def __init__(self, card: Card, device: str) -> None:
        self.denoiser = random_network("denoiser", partial(Denoiser, card), card, device)
        self.autoencoder = random_network(
            "autoencoder", partial(build_autoencoder, card, with_encoder=False), card, device
        )
        self.scheduler = build_part(card, "scheduler", SCHEDULERS)
        self.classes, self.device = ClassPrompts(card, classes_of(card)), device
        config = self.denoiser.network.config
        self.shape = (config.in_channels, config.sample_size, config.sample_size)
        self.evaluations = 0
        self.info = GeneratorInfo(
            name=card.name, family="class-diffusion", resolution=card.resolution, knobs=(STEPS, GUIDANCE),
            parameters=count_parameters(self.denoiser, self.autoencoder),
            capabilities=frozenset({"bf16", "fp16", "compile"}),
        )  # fmt: skip

    def prepare(self, *, precision: Precision, compiled: bool) -> None:
        """See :class:`trilemma.generator.Preparable`."""
        cast([self.denoiser, self.autoencoder], precision)
        if compiled:
            compile_in_place([self.denoiser, self.autoencoder.decoder])

    @torch.no_grad()
    def generate(self, prompts: Sequence[str], seeds: Sequence[int], **knobs: float) -> Tensor:
        """See :class:`trilemma.generator.Generator`."""
        check_batch(prompts, seeds)
        settings = resolve_knobs(self.info.knobs, knobs)
        scale = settings["guidance_scale"]
        with stage(TEXT):
            labels, guided = self.classes.for_guidance(prompts, scale)
        with stage(SAMPLE):
            self.scheduler.set_timesteps(settings["num_inference_steps"])
            latents = self._denoise(labels.to(self.device), scale if guided else None, SampleStreams(seeds))
        with stage(DECODE):
            return self._decode(latents)

    def _denoise(self, labels: Tensor, scale: float | None, streams: SampleStreams) -> Tensor:
        latents: Tensor
        scheduler, dtype = self.scheduler, next(self.denoiser.parameters()).dtype
        latents = (streams.normal(*self.shape) * scheduler.init_noise_sigma).to(self.device)
        # The scheduler's own arithmetic on timesteps stays on the CPU: on a GPU each step would wait for it.
        for timestep, there in zip(scheduler.timesteps, scheduler.timesteps.to(self.device), strict=True):
            given = scheduler.scale_model_input(latents, timestep).to(dtype)
            given = given if scale is None else torch.cat([given, given])
            prediction = self.denoiser(given, there.expand(len(given)), labels).float()
            prediction = prediction if scale is None else self._guided(prediction, scale)
            latents = scheduler.step(
                self._of_the_scheduler(prediction), timestep, latents, generator=streams.generators, return_dict=False
            )[0]
            self.evaluations += len(given)
        return latents

    def _guided(self, stacked: Tensor, scale: float) -> Tensor:
        channels = self.shape[0]
        variance = stacked[: len(stacked) // 2, channels:]
        return torch.cat([guide(stacked[:, :channels], scale), variance], 1)

    def _of_the_scheduler(self, prediction: Tensor) -> Tensor:
        """A scheduler whose variance is fixed takes the noise alone."""
        learned = "learned" in str(self.scheduler.config.get("variance_type"))
        return prediction if learned else prediction[:, : self.shape[0]]

    def _decode(self, latents: Tensor) -> Tensor:
        latents = (latents / self.autoencoder.config.scaling_factor).to(next(self.autoencoder.parameters()).dtype)
        images: Tensor = self.autoencoder.decode(latents, return_dict=False)[0]
        return to_uint8(images)


def load(card: Card, device: str) -> ClassDiffusion:
    """Builds the model that a card describes."""
    check_random(card)
    return ClassDiffusion(card, device)
