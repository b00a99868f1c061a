"""Any pipeline of diffusers that makes images from text, from a class or from noise alone.

The adapter knows the public interface that pipelines share, and learns the rest from each one's call (see
``diffusers_call``): one generator per image, steps and guidance. Guidance by a second pass runs as one batch of twice
the size. A card's options name where the pipeline is (``diffusers_files``), another ``scheduler`` of diffusers, a
``lora`` with its ``lora_scale``, the ``classes`` of a model that knows them by number, and what every call is given
(``diffusers_stated``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from inspect import signature
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from trilemma.card import Precision
from trilemma.errors import UserError
from trilemma.families.class_prompts import ClassPrompts
from trilemma.families.diffusers_call import GUIDANCE, denoiser_of, is_stable_diffusion, pipeline_call
from trilemma.families.diffusers_latents import Latents, own_side
from trilemma.families.diffusers_open import class_names_of_index, open_pipeline
from trilemma.families.diffusers_stated import Negative, stated_length
from trilemma.families.pixels import to_pixels
from trilemma.families.preparing import DTYPES, cast, channels_last, compile_in_place
from trilemma.families.random_pipeline import random_pipeline
from trilemma.families.schedulers import step_by_host_times, with_scheduler
from trilemma.families.weights import count_parameters
from trilemma.generator import GeneratorInfo, Noised, SampleStreams, check_batch, resolve_knobs
from trilemma.stages import DECODE, SAMPLE, TEXT, stage

if TYPE_CHECKING:
    from trilemma.card import Card

T = TypeVar("T")


class Pipeline:
    """The registered model: one evaluation of the denoiser per step, two with guidance by a second pass."""

    def __init__(self, card: Card, device: str) -> None:
        self.pipeline = random_pipeline(card, device) if card.random_weights else open_pipeline(card).to(device)
        self.pipeline.set_progress_bar_config(disable=True)
        if (scheduler := card.options.get("scheduler")) is not None:
            self.pipeline.scheduler = with_scheduler(self.pipeline, scheduler, f"{card.path}: options.scheduler")
        if is_stable_diffusion(self.pipeline):  # of others it is not known that they take one step for each time
            step_by_host_times(self.pipeline.scheduler)
        self.denoiser = denoiser_of(self.pipeline)
        self.call = pipeline_call(self.pipeline)
        self.latents = Latents(self.pipeline)
        _check_side(self.pipeline, self.call.names, card)
        self.classes = _classes(card, self.call.classes)
        self.denoiser.register_forward_pre_hook(self._count, with_kwargs=True)
        channels_last(self._networks())
        self.dtype = next(self.denoiser.parameters()).dtype
        self.stated, self.negative = stated_length(card, self.call), Negative(card, self.pipeline, self.call)
        self.evaluations = 0
        self.generators: list[torch.Generator] = []
        self.info = GeneratorInfo(
            name=card.name, family="diffusers", resolution=card.resolution, knobs=self.call.knobs,
            parameters=_sampled_parameters(self.pipeline, self.latents.autoencoder), capabilities=self._capabilities(),
        )  # fmt: skip
        self._mark_stages()
        if "trace" in self.info.capabilities:  # what a model does not declare, it does not have
            self.trace = self._trace
        if "noising" in self.info.capabilities:
            self.noise = self._noise

    def prepare(self, *, precision: Precision, compiled: bool) -> None:
        """See :class:`trilemma.generator.Preparable`."""
        if self.dtype != DTYPES[precision]:
            cast(self._networks(), precision)
            self.dtype = DTYPES[precision]
        if compiled:
            del self.denoiser.forward  # what marks the stage stays outside of what is compiled
            text = [getattr(self.pipeline, name) for name in self.pipeline.components if name.startswith("text_enc")]
            decoder = [self.latents.autoencoder.decoder] if self.latents.autoencoder is not None else []
            compile_in_place([self.denoiser, *decoder, *filter(None, text)])
            self.denoiser.forward = _staged(SAMPLE, self.denoiser.forward)

    @torch.no_grad()
    def generate(self, prompts: Sequence[str], seeds: Sequence[int], **knobs: float) -> Tensor:
        """See :class:`trilemma.generator.Generator`."""
        return to_pixels(self._run(prompts, seeds, knobs, output_type="pt"))

    @torch.no_grad()
    def _trace(self, prompts: Sequence[str], seeds: Sequence[int], **knobs: float) -> list[Tensor]:
        """Returns the latent after each denoising step, decoded."""
        latents: list[Tensor] = []

        def keep(pipeline: Any, step: int, timestep: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
            latents.append(tensors["latents"].clone())
            return tensors

        self._run(prompts, seeds, knobs, output_type="latent", callback_on_step_end=keep)
        return [to_pixels(self.latents.decode(latent, self.info.resolution)) for latent in latents]

    @torch.no_grad()
    def _noise(self, images: Tensor, seeds: Sequence[int], **knobs: float) -> Noised:
        """Returns the images' latents, noised by the scheduler at each of the sampler's times, and decoded.

        The noise is the one that sampling with these seeds begins with.
        """
        scheduler, steps = self.pipeline.scheduler, resolve_knobs(self.info.knobs, knobs)["num_inference_steps"]
        latents = self.latents.encode(images)
        scheduler.set_timesteps(steps, device=latents.device)
        noise = SampleStreams(seeds).normal(*latents.shape[1:]).to(latents)
        times = scheduler.timesteps.flip(0)
        noised = (scheduler.add_noise(latents, noise, time.expand(len(latents))) for time in times)
        frames = [to_pixels(self.latents.decode(latent, self.info.resolution)) for latent in noised]
        return Noised(frames=frames, space="latents")

    def _run(self, prompts: Sequence[str], seeds: Sequence[int], knobs: dict[str, float], **options: Any) -> Any:
        check_batch(prompts, seeds)
        settings = resolve_knobs(self.info.knobs, knobs)
        if GUIDANCE.name in settings and not any(prompts) and self._empty_is_null:
            settings[GUIDANCE.name] = 1.0  # both passes would be the same
        if settings.get(GUIDANCE.name, 1.0) > 1.0:
            options |= self.negative.given(len(prompts), self.dtype)
        self.generators = SampleStreams(seeds).generators
        given = self._condition(prompts, seeds) | self.call.fixed(self.info.resolution) | self.stated
        return self.pipeline(generator=self.generators, **given, **settings, **options).images

    def _condition(self, prompts: Sequence[str], seeds: Sequence[int]) -> dict[str, Any]:
        if self.call.condition == "text":
            return {"prompt": list(prompts)}
        given: dict[str, Any] = {"batch_size": len(prompts)} if "batch_size" in self.call.names else {}
        if self.call.condition == "class":
            given["class_labels"] = self._labels(prompts, seeds)
        return given

    def _labels(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[int]:
        assert self.classes is not None
        has_null, classes = self.call.has_null_class, self.classes
        labels: list[int] = (classes.labels_or_null(prompts) if has_null else classes.labels(prompts, seeds)).tolist()
        return labels

    @property
    def _empty_is_null(self) -> bool:
        """Whether an empty prompt is what guidance leads away from."""
        return self.negative.is_empty_prompt or self.call.has_null_class

    def _networks(self) -> list[nn.Module]:
        return [part for part in self.pipeline.components.values() if isinstance(part, nn.Module)]

    def _capabilities(self) -> frozenset[str]:
        # Noise is to be drawn in float32, and that can be seen to only where a method of its own draws it.
        halves = {"bf16", "fp16"} if hasattr(self.pipeline, "prepare_latents") else set()
        trace = {"trace"} if "callback_on_step_end" in self.call.names and self.latents.can_decode else set()
        noising = {"noising"} if self.latents.can_encode and hasattr(self.pipeline.scheduler, "add_noise") else set()
        ignores = {"unconditional"} if self.call.condition == "none" else set()
        classes = self.classes.capabilities if self.classes is not None else frozenset()
        by_input = {"guided-by-input"} if self.call.guided_by_input else set()
        return frozenset({"compile"} | halves | trace | noising | ignores | classes | by_input)

    def _mark_stages(self) -> None:
        pipeline, autoencoder = self.pipeline, self.latents.autoencoder
        if hasattr(pipeline, "encode_prompt"):
            pipeline.encode_prompt = _staged(TEXT, pipeline.encode_prompt)
        if hasattr(pipeline, "prepare_latents"):
            pipeline.prepare_latents = _in_float32(pipeline.prepare_latents)
        self.denoiser.forward = _staged(SAMPLE, self.denoiser.forward)
        pipeline.scheduler.step = _staged(SAMPLE, self._with_generators(pipeline.scheduler.step))
        if autoencoder is not None:
            autoencoder.decode = _staged(DECODE, autoencoder.decode)

    def _with_generators(self, step: Callable[..., T]) -> Callable[..., T]:
        """Pipelines that hand no generator to a scheduler which draws would draw from the state that all share."""
        takes = "generator" in signature(step).parameters

        @wraps(step)
        def call(model_output: Tensor, timestep: Any, sample: Tensor, *args: Any, **kwargs: Any) -> T:
            if takes and not args and kwargs.get("generator") is None:
                kwargs["generator"] = self.generators * (len(sample) // len(self.generators))
            return step(model_output, timestep, sample, *args, **kwargs)

        return call

    def _count(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        sample = args[0] if args else kwargs.get("sample", kwargs.get("hidden_states"))
        assert isinstance(sample, Tensor)
        self.evaluations += len(sample)


def load(card: Card, device: str) -> Pipeline:
    """Opens the pipeline that a card names."""
    return Pipeline(card, device)


def _staged(name: str, function: Callable[..., T]) -> Callable[..., T]:
    """The signature stays visible: pipelines look at it to see what a scheduler takes."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> T:
        with stage(name):
            return function(*args, **kwargs)

    return call


def _in_float32(prepare: Callable[..., Any]) -> Callable[..., Any]:
    """Draws the first noise in float32, whatever the type that it then gets: drawn in a short one it has few values."""
    known = signature(prepare)

    @wraps(prepare)
    def call(*args: Any, **kwargs: Any) -> Any:
        bound = known.bind(*args, **kwargs)
        dtype = bound.arguments.get("dtype")
        if dtype is None:
            return prepare(*args, **kwargs)
        bound.arguments["dtype"] = torch.float32
        prepared = prepare(*bound.args, **bound.kwargs)
        return tuple(part.to(dtype) for part in prepared) if isinstance(prepared, tuple) else prepared.to(dtype)

    return call


def _check_side(pipeline: Any, names: frozenset[str], card: Card) -> None:
    """A pipeline that takes no size has one."""
    side = None if "height" in names else own_side(pipeline)
    if side not in (None, card.resolution):
        raise UserError(
            f"the pipeline makes images of {side}x{side}.", where=f"{card.path}: resolution", hint=f"Say {side}."
        )


def _classes(card: Card, count: int | None) -> ClassPrompts | None:
    """The classes by the names that the pipeline's index tells, and the card's."""
    return None if count is None else ClassPrompts(card, count, class_names_of_index(card, count))


def _sampled_parameters(pipeline: Any, autoencoder: Any) -> int:
    """Everything that a call runs: of the autoencoder the decoder alone, and no encoder of images."""
    left_out = ("image_encoder", "vae", "vqvae")
    modules = [
        part for name, part in pipeline.components.items() if isinstance(part, nn.Module) and name not in left_out
    ]
    names = ("decoder", "post_quant_conv", "quantize")
    decoding = [getattr(autoencoder, name, None) for name in names]
    return count_parameters(*modules, *[part for part in decoding if isinstance(part, nn.Module)])
