"""Any text-to-image pipeline folder that diffusers opens (``model_index.json`` beside its parts).

The adapter knows the pipeline's public interface alone: prompts, one generator per image, steps and guidance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from trilemma.errors import UserError
from trilemma.families.weights import count_parameters
from trilemma.generator import GeneratorInfo, Knob, SampleStreams, check_batch, resolve_knobs

if TYPE_CHECKING:
    from trilemma.card import Card

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
        self.pipeline = _open(card).to(device)
        self.pipeline.set_progress_bar_config(disable=True)
        self.denoiser = getattr(self.pipeline, "unet", None) or self.pipeline.transformer
        self.denoiser.register_forward_pre_hook(self._count, with_kwargs=True)
        self.evaluations = 0
        self.info = GeneratorInfo(
            name=card.name, family="diffusers", resolution=card.resolution, knobs=KNOBS,
            parameters=_sampled_parameters(self.pipeline), capabilities=frozenset({"trace"}),
        )  # fmt: skip

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

    def _run(self, prompts: Sequence[str], seeds: Sequence[int], knobs: dict[str, float], **options: Any) -> Tensor:
        check_batch(prompts, seeds)
        settings = resolve_knobs(self.info.knobs, knobs)
        if not any(prompts):
            settings["guidance_scale"] = 1.0  # without a prompt both passes are the same
        size = self.info.resolution
        output = self.pipeline(
            list(prompts), generator=SampleStreams(seeds).generators, height=size, width=size, **settings, **options
        )
        images: Tensor = output.images
        return images

    def _decode(self, latents: Tensor) -> Tensor:
        image = self.pipeline.vae.decode(latents / self.pipeline.vae.config.scaling_factor).sample
        return _to_uint8(image / 2 + 0.5)

    def _count(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        sample = args[0] if args else kwargs["sample"]
        self.evaluations += len(sample)


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


def _sampled_parameters(pipeline: Any) -> int:
    """Everything that a call runs: of the autoencoder the decoder alone."""
    modules = [part for name, part in pipeline.components.items() if isinstance(part, nn.Module) and name != "vae"]
    vae = pipeline.vae
    decoder = [part for part in (vae.decoder, getattr(vae, "post_quant_conv", None)) if part is not None]
    return count_parameters(*modules, *decoder)


def _to_uint8(images_01: Tensor) -> Tensor:
    """Rounds float ``(B, 3, H, W)`` in [0, 1] to uint8."""
    return (images_01.float() * 255).round().clamp(0, 255).to(torch.uint8)
