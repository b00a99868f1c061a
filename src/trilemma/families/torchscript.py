"""A generator that was saved as TorchScript: a latent, and a class where it has classes, to an image, in one pass.

The file holds the network with its code, so that a card says all that is left, in ``[options]``:

    latent = 128                 the latent's length, or its shape as a list
    range = [-1, 1]              of the numbers in the images; [0, 1] is the other possibility
    classes = ["cat", "dog"]     where it is called with int64 labels too: names in their order, or "imagenet"
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from trilemma.data.imagenet import imagenet_classes
from trilemma.errors import UserError
from trilemma.families.class_prompts import ClassPrompts
from trilemma.families.pixels import to_pixels
from trilemma.families.weights import count_parameters
from trilemma.generator import GeneratorInfo, Knob, SampleStreams, check_batch, resolve_knobs
from trilemma.stages import SAMPLE, stage

if TYPE_CHECKING:
    from trilemma.card import Card

KNOBS = (
    Knob(
        name="truncation", kind="float", default=1.0, minimum=0.0, maximum=1.0,
        description="factor on the normal latent: lower trades diversity for quality",
    ),
)  # fmt: skip


class TorchScript:
    """The registered model: one evaluation per image."""

    def __init__(self, card: Card, device: str) -> None:
        self.network = _opened(_file(card), device)
        self.shape = _latent_shape(card)
        self.low, self.high = _range(card)
        count = _classes(card)
        self.classes = ClassPrompts(card, count) if count else None
        self.device = device
        self.evaluations = 0
        self.info = GeneratorInfo(
            name=card.name, family="torchscript", resolution=card.resolution, knobs=KNOBS,
            parameters=count_parameters(self.network),
            capabilities=self.classes.capabilities if self.classes is not None else frozenset({"unconditional"}),
        )  # fmt: skip

    @torch.no_grad()
    def generate(self, prompts: Sequence[str], seeds: Sequence[int], **knobs: float) -> Tensor:
        """See :class:`trilemma.generator.Generator`."""
        check_batch(prompts, seeds)
        settings = resolve_knobs(self.info.knobs, knobs)
        given = [(SampleStreams(seeds).normal(*self.shape) * settings["truncation"]).to(self.device)]
        if self.classes is not None:
            given.append(self.classes.labels(prompts, seeds).to(self.device))
        with stage(SAMPLE):
            images = self.network(*given)
        self.evaluations += len(prompts)
        return to_pixels((images.float() - self.low) / (self.high - self.low))


def load(card: Card, device: str) -> TorchScript:
    """Opens the TorchScript file that a card lists."""
    return TorchScript(card, device)


def _file(card: Card) -> Path:
    if len(card.weights_sha256) != 1:
        raise UserError("lists the one TorchScript file with its sha256.", where=f"{card.path}: weights")
    return card.weight(next(iter(card.weights_sha256)))


def _opened(path: Path, device: str) -> Any:
    try:
        return torch.jit.load(path, map_location=device).eval()
    except RuntimeError as error:
        raise UserError(f"this is no TorchScript file: {str(error).splitlines()[0]}", where=str(path)) from None


def _latent_shape(card: Card) -> tuple[int, ...]:
    given = card.options.get("latent")
    shape = given if isinstance(given, list) else [given]
    if not shape or not all(type(length) is int and length > 0 for length in shape):
        raise UserError("must be the length of the latent, or a list of lengths.", where=f"{card.path}: options.latent")
    return tuple(shape)


def _range(card: Card) -> tuple[float, float]:
    given = card.options.get("range")
    if given not in ([-1, 1], [0, 1]):
        raise UserError("must be [-1, 1] or [0, 1].", where=f"{card.path}: options.range")
    return float(given[0]), float(given[1])


def _classes(card: Card) -> int:
    """How many there are; 0 where the network takes none."""
    given = card.options.get("classes", [])
    return len(imagenet_classes() if given == "imagenet" else given)
