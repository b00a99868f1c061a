"""What a pipeline of diffusers can be asked for: read from the parameters of its call and from its networks' settings.

There is no list of pipelines here. One that takes prompts is conditioned on text, one that takes ``class_labels`` and
has classes on those, and any other on nothing. Steps and guidance are knobs, with the call's own defaults.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from typing import Any, Literal

from torch import nn

from trilemma.errors import UserError
from trilemma.generator import Knob

Condition = Literal["text", "class", "none"]

STEPS = Knob(
    name="num_inference_steps", kind="int", default=20, minimum=1, maximum=1000, description="denoising steps",
)  # fmt: skip
GUIDANCE = Knob(
    name="guidance_scale", kind="float", default=7.5, minimum=1.0, maximum=50.0,
    description="classifier-free guidance u + s (c - u); 1 is none",
)  # fmt: skip
GUIDANCE_INPUT = replace(GUIDANCE, description="guidance that the network was distilled with, and takes as an input")
# What every call is given where it takes it: pictures of exactly the card's size, prompts exactly as they are. (Some
# pipelines would clean prompts if certain packages happened to be installed.)
ALWAYS: dict[str, Any] = {"use_resolution_binning": False, "clean_caption": False}


@dataclass(frozen=True, kw_only=True)
class PipelineCall:
    """How one pipeline is called.

    Attributes:
        names: the parameters of its call.
        condition: what an image is asked for by.
        classes: how many there are, where that is the condition; None elsewhere.
        knobs: declared by the model.
        guided_by_input: whether guidance is an input of the network, and costs no second pass.
    """

    names: frozenset[str]
    condition: Condition
    classes: int | None
    knobs: tuple[Knob, ...]
    guided_by_input: bool

    @property
    def has_null_class(self) -> bool:
        """Whether class number ``classes`` is none at all: what guidance by classes needs."""
        return self.condition == "class" and "guidance_scale" in self.names

    def fixed(self, side: int) -> dict[str, Any]:
        """Returns what every call is given, for pictures of that side."""
        given = {**ALWAYS, "height": side, "width": side}
        return {name: value for name, value in given.items() if name in self.names}


def denoiser_of(pipeline: Any) -> nn.Module:
    """Returns the network that is evaluated once per step; raises UserError where there is none, or more than one."""
    found = [getattr(pipeline, name, None) for name in ("unet", "transformer")]
    networks = [network for network in found if isinstance(network, nn.Module)]
    others = [name for name in pipeline.components if name in ("prior", "prior_prior", "transformer_2", "decoder")]
    if len(networks) != 1 or others:
        name = type(pipeline).__name__
        raise UserError(f"{name} is no pipeline with one denoiser, a UNet or a transformer; it cannot be run here.")
    return networks[0]


def is_stable_diffusion(pipeline: Any) -> bool:
    """Returns whether a pipeline is of the class whose single text encoder and steps are known here."""
    return type(pipeline).__name__ == "StableDiffusionPipeline"


def pipeline_call(pipeline: Any) -> PipelineCall:
    """Returns how a pipeline is called.

    Raises:
        UserError: it needs more than a prompt or a class, such as an image, or has no single denoiser.
    """
    config: Any = denoiser_of(pipeline).config
    parameters = inspect.signature(type(pipeline).__call__).parameters
    classes = config.get("num_class_embeds") or config.get("num_embeds_ada_norm")
    condition: Condition = "text" if "prompt" in parameters else "none"
    if condition == "none" and "class_labels" in parameters and classes:
        condition = "class"
    _check_needs(type(pipeline).__name__, parameters, condition)
    return PipelineCall(
        names=frozenset(parameters),
        condition=condition,
        classes=int(classes) if condition == "class" else None,
        knobs=_knobs(pipeline, parameters, config),
        guided_by_input=_guided_by_input(config),
    )


def _check_needs(name: str, parameters: Any, condition: Condition) -> None:
    given = {"self", "prompt", *({"class_labels"} if condition == "class" else set())}
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    needed = [p.name for p in parameters.values() if p.default is p.empty and p.kind in plain and p.name not in given]
    if needed:
        raise UserError(f"{name} needs {', '.join(needed)}: it does not make images from prompts, classes or nothing.")


def _knobs(pipeline: Any, parameters: Any, config: Any) -> tuple[Knob, ...]:
    known = {STEPS.name: replace(STEPS, maximum=_most_steps(pipeline.scheduler.config))}
    by_input = _guided_by_input(config)
    # Where guidance by a second pass has a name of its own, a network without the input ignores the other.
    if by_input or "true_cfg_scale" not in parameters:
        known[GUIDANCE.name] = GUIDANCE_INPUT if by_input else GUIDANCE
    return tuple(_with_default(knob, parameters[name].default) for name, knob in known.items() if name in parameters)


def _with_default(knob: Knob, default: object) -> Knob:
    if isinstance(default, bool) or not isinstance(default, (int, float)):
        return knob
    return replace(knob, default=min(max(default, knob.minimum), knob.maximum))


def _most_steps(config: Any) -> int:
    """A scheduler that was trained on so many times has no more; that of a consistency model may have few."""
    limits = (config.get("num_train_timesteps"), config.get("original_inference_steps"))
    return min([int(limit) for limit in limits if limit] + [int(STEPS.maximum)])


def _guided_by_input(config: Any) -> bool:
    return bool(config.get("guidance_embeds") or config.get("time_cond_proj_dim"))
