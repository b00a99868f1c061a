"""Any text-to-image pipeline folder that diffusers opens (``model_index.json`` beside its parts).

The adapter knows the pipeline's public interface alone: prompts, one generator per image, steps and guidance, which
the pipeline runs as one batch of twice the size. A card's ``options.scheduler`` names another of diffusers' schedulers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from trilemma.card import Precision
from trilemma.errors import UserError
from trilemma.families.preparing import DTYPES, cast, channels_last, compile_in_place
from trilemma.families.random_pipeline import random_pipeline
from trilemma.families.schedulers import step_by_host_times, with_scheduler
from trilemma.families.weights import count_parameters
from trilemma.generator import GeneratorInfo, Knob, Noised, SampleStreams, check_batch, resolve_knobs
from trilemma.stages import DECODE, SAMPLE, TEXT, stage

if TYPE_CHECKING:
    from trilemma.card import Card

T = TypeVar("T")

KNOBS = (
    Knob(
        name="num_inference_steps", kind="int", default=20, minimum=1, maximum=1000, description="denoising steps",
    ),
    Knob(
        name="guidance_scale", kind="float", default=7.5, minimum=1.0, maximum=50.0,
        description="classifier-free guidance u + s (c - u); 1 is none",
    ),
)  # fmt: skip


class Pipeline:
    """The registered model: one evaluation of the denoiser per step, two with guidance."""

    def __init__(self, card: Card, device: str) -> None:
        self.pipeline = random_pipeline(card, device) if card.random_weights else _open(card).to(device)
        self.pipeline.set_progress_bar_config(disable=True)
        if (scheduler := card.options.get("scheduler")) is not None:
            self.pipeline.scheduler = with_scheduler(self.pipeline, scheduler, f"{card.path}: options.scheduler")
        if self._is_stable_diffusion:  # of others it is not known that they take one step for each time
            step_by_host_times(self.pipeline.scheduler)
        self.denoiser = getattr(self.pipeline, "unet", None) or self.pipeline.transformer
        self.denoiser.register_forward_pre_hook(self._count, with_kwargs=True)
        channels_last(self._networks())
        self.dtype = torch.float32
        self.empty_1LD = self._encode_empty()
        self.evaluations = 0
        self.info = GeneratorInfo(
            name=card.name, family="diffusers", resolution=card.resolution, knobs=KNOBS,
            parameters=_sampled_parameters(self.pipeline), capabilities=_capabilities(self.pipeline),
        )  # fmt: skip
        self._mark_stages()

    def prepare(self, *, precision: Precision, compiled: bool) -> None:
        """See :class:`trilemma.generator.Preparable`."""
        cast(self._networks(), precision)
        self.dtype = DTYPES[precision]
        if compiled:
            del self.denoiser.forward  # what marks the stage stays outside of what is compiled
            text = [getattr(self.pipeline, name) for name in self.pipeline.components if name.startswith("text_enc")]
            compile_in_place([self.denoiser, self.pipeline.vae.decoder, *text])
            self.denoiser.forward = _staged(SAMPLE, self.denoiser.forward)

    @torch.no_grad()
    def generate(self, prompts: Sequence[str], seeds: Sequence[int], **knobs: float) -> Tensor:
        """See :class:`trilemma.generator.Generator`."""
        return _to_uint8(self._run(prompts, seeds, knobs, output_type="pt"))

    @torch.no_grad()
    def trace(self, prompts: Sequence[str], seeds: Sequence[int], **knobs: float) -> list[Tensor]:
        """Returns the latent after each denoising step, decoded."""
        latents: list[Tensor] = []

        def keep(pipeline: Any, step: int, timestep: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
            latents.append(tensors["latents"].clone())
            return tensors

        self._run(prompts, seeds, knobs, output_type="latent", callback_on_step_end=keep)
        return [self._decode(latent) for latent in latents]

    @torch.no_grad()
    def noise(self, images: Tensor, seeds: Sequence[int], **knobs: float) -> Noised:
        """Returns the images' latents, noised by the scheduler at each of the sampler's times, and decoded.

        The noise is the one that sampling with these seeds begins with.
        """
        scheduler, steps = self.pipeline.scheduler, resolve_knobs(self.info.knobs, knobs)["num_inference_steps"]
        latents = self._encode(images)
        scheduler.set_timesteps(steps, device=latents.device)
        noise = SampleStreams(seeds).normal(*latents.shape[1:]).to(latents)
        times = scheduler.timesteps.flip(0)
        noised = (scheduler.add_noise(latents, noise, time.expand(len(latents))) for time in times)
        return Noised(frames=[self._decode(latent) for latent in noised], space="latents")

    def _run(self, prompts: Sequence[str], seeds: Sequence[int], knobs: dict[str, float], **options: Any) -> Tensor:
        check_batch(prompts, seeds)
        settings = resolve_knobs(self.info.knobs, knobs)
        if not any(prompts):
            settings["guidance_scale"] = 1.0  # without a prompt both passes are the same
        if settings["guidance_scale"] > 1.0 and self.empty_1LD is not None:
            options["negative_prompt_embeds"] = self.empty_1LD.to(self.dtype).expand(len(prompts), -1, -1)
        streams, size = SampleStreams(seeds), self.info.resolution
        if self.dtype != torch.float32:  # drawn in a short type, noise would be of few values
            side = size // self.pipeline.vae_scale_factor
            options["latents"] = streams.normal(self.denoiser.config.in_channels, side, side).to(self.dtype)
        output = self.pipeline(
            list(prompts), generator=streams.generators, height=size, width=size, **settings, **options
        )
        images: Tensor = output.images
        return images

    @torch.no_grad()
    def _encode_empty(self) -> Tensor | None:
        """The text states of the empty prompt, which guidance needs in every call; None where there is more to them."""
        if not self._is_stable_diffusion:
            return None
        states_1LD: Tensor = self.pipeline.encode_prompt([""], self.pipeline.device, 1, False)[0]
        return states_1LD

    @property
    def _is_stable_diffusion(self) -> bool:
        return type(self.pipeline).__name__ == "StableDiffusionPipeline"

    def _networks(self) -> list[nn.Module]:
        return [part for part in self.pipeline.components.values() if isinstance(part, nn.Module)]

    def _mark_stages(self) -> None:
        pipeline = self.pipeline
        pipeline.encode_prompt = _staged(TEXT, pipeline.encode_prompt)
        self.denoiser.forward = _staged(SAMPLE, self.denoiser.forward)
        pipeline.scheduler.step = _staged(SAMPLE, pipeline.scheduler.step)
        pipeline.vae.decode = _staged(DECODE, pipeline.vae.decode)

    def _encode(self, images: Tensor) -> Tensor:
        vae = self.pipeline.vae
        encoded = vae.encode(images.to(vae.device, vae.dtype) / 127.5 - 1)
        latents: Tensor = encoded.latent_dist.mode() * vae.config.scaling_factor
        return latents

    def _decode(self, latents: Tensor) -> Tensor:
        image = self.pipeline.vae.decode(latents / self.pipeline.vae.config.scaling_factor).sample
        return _to_uint8(image / 2 + 0.5)

    def _count(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        sample = args[0] if args else kwargs["sample"]
        self.evaluations += len(sample)


def _staged(name: str, function: Callable[..., T]) -> Callable[..., T]:
    """The signature stays visible: pipelines look at it to see what a scheduler takes."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> T:
        with stage(name):
            return function(*args, **kwargs)

    return call


def load(card: Card, device: str) -> Pipeline:
    """Opens the pipeline in the card's folder."""
    return Pipeline(card, device)


def _open(card: Card) -> Any:
    from diffusers import DiffusionPipeline

    if not (card.path / "model_index.json").is_file():
        raise UserError("this is no diffusers pipeline: it has no model_index.json.", where=str(card.path))
    return DiffusionPipeline.from_pretrained(  # type: ignore[no-untyped-call]
        card.path, dtype=torch.float32, local_files_only=True
    )


def _capabilities(pipeline: Any) -> frozenset[str]:
    # Only of a UNet's pipeline is it known what shape its noise has, which is to be drawn in float32.
    halves = {"bf16", "fp16"} if hasattr(pipeline, "unet") else set()
    noising = {"noising"} if hasattr(pipeline.scheduler, "add_noise") else set()
    return frozenset({"trace", "compile"} | halves | noising)


def _sampled_parameters(pipeline: Any) -> int:
    """Everything that a call runs: of the autoencoder the decoder alone."""
    modules = [part for name, part in pipeline.components.items() if isinstance(part, nn.Module) and name != "vae"]
    vae = pipeline.vae
    decoder = [part for part in (vae.decoder, getattr(vae, "post_quant_conv", None)) if part is not None]
    return count_parameters(*modules, *decoder)


def _to_uint8(images_01: Tensor) -> Tensor:
    """Rounds float ``(B, 3, H, W)`` in [0, 1] to uint8."""
    return (images_01.float() * 255).round().clamp(0, 255).to(torch.uint8)
