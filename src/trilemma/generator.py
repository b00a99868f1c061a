"""The one interface that every model is seen through, and what a model says of itself.

What an implementation promises (checked over the whole registry by ``tests/test_contract.py``):

1. ``generate`` returns uint8 ``(B, 3, H, W)`` in [0, 255] on the model's own device; ``""`` is the empty prompt.
2. Image *i* depends on the weights, prompt *i*, seed *i* and the knobs alone. Every random number comes from that
   sample's own stream (:class:`SampleStreams`), drawn on the CPU.
3. Global state (random number generators, default dtype, backend flags, grad mode) is left as it was found.
4. Knobs are declared, typed and bounded; anything else raises :class:`~trilemma.errors.UserError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from trilemma.errors import UserError, suggest

if TYPE_CHECKING:
    import torch

    from trilemma.card import Precision

Aspect = Literal["speed", "memory", "parameters", "evaluations", "operations"]
"""What a model may be unable to be measured by."""


@dataclass(frozen=True, kw_only=True)
class Knob:
    """A declared sampling parameter with its default and its closed range."""

    name: str
    kind: Literal["int", "float"]
    default: float
    minimum: float
    maximum: float
    description: str

    def check(self, value: object) -> int | float:
        """Returns ``value`` in the knob's type.

        Raises:
            UserError: the value is not a number of that type, or lies outside the range.
        """
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise UserError(f'knob "{self.name}" must be a number, got {value!r}.')
        if not self.minimum <= value <= self.maximum:  # NaN, too, is refused here
            raise UserError(f'knob "{self.name}" must lie in [{self.minimum}, {self.maximum}], got {value!r}.')
        if self.kind == "int" and float(value) != int(value):
            raise UserError(f'knob "{self.name}" must be an integer, got {value!r}.')
        return int(value) if self.kind == "int" else float(value)


@dataclass(frozen=True, kw_only=True)
class GeneratorInfo:
    """What a model says of itself.

    Attributes:
        parameters: counts everything that ``generate`` runs, in numbers, not bytes; None where it cannot be known.
        unknown: what cannot be measured of this model, and why: of images that exist already, for one, their speed.
        runtime: versions of what runs the model, where that is not this process.
    """

    name: str
    family: str
    resolution: int
    parameters: int | None
    knobs: tuple[Knob, ...] = ()
    capabilities: frozenset[str] = frozenset()
    unknown: Mapping[Aspect, str] = field(default_factory=dict)
    runtime: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class Generator(Protocol):
    """A model that turns prompts and seeds into images.

    ``evaluations`` is the running total of network evaluations, summed over images, guidance passes included: eight
    guided denoising steps for four images add 64.
    """

    info: GeneratorInfo
    evaluations: int

    def generate(self, prompts: Sequence[str], seeds: Sequence[int], **knobs: float) -> torch.Tensor:
        """Returns uint8 ``(B, 3, H, W)`` for B prompts and B seeds.

        Raises:
            UserError: prompts and seeds differ in number, or a knob is unknown or out of range.
        """
        ...


@runtime_checkable
class Preparable(Protocol):
    """A model that runs in other ways than eager float32: its capabilities name which of "bf16", "fp16", "compile"."""

    def prepare(self, *, precision: Precision, compiled: bool) -> None:
        """Turns a model that was just loaded into one of that precision, compiled or not; called once at most."""
        ...


@runtime_checkable
class Traceable(Protocol):
    """A model with the capability "trace": it shows how it makes an image."""

    def trace(self, prompts: Sequence[str], seeds: Sequence[int], **knobs: float) -> list[torch.Tensor]:
        """Returns the intermediate images, each uint8 ``(B, 3, H, W)``; the last ones are what ``generate`` returns.

        They are evenly spaced: between one and the next lie equally many network evaluations, and the first comes after
        as many.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Noised:
    """Images on their way to noise.

    Attributes:
        frames: uint8 ``(B, 3, H, W)`` each, from the least noise to the most.
        space: what the noise was added to; latents are decoded for every frame.
    """

    frames: list[torch.Tensor]
    space: Literal["latents", "pixels"]


@runtime_checkable
class Noising(Protocol):
    """A model with the capability "noising": it was trained to go back the way from an image to noise."""

    def noise(self, images: torch.Tensor, seeds: Sequence[int], **knobs: float) -> Noised:
        """Returns uint8 images ``(B, 3, H, W)`` noised as they are at the times that ``generate`` goes through."""
        ...


class PlannedSample(Protocol):
    """One image of a plan; for its names see ``identity``."""

    @property
    def set(self) -> str:
        """The name of the set that it belongs to."""

    @property
    def key(self) -> str:
        """Its own name: 16 hex characters."""

    @property
    def prompt_id(self) -> str:
        """The name of its prompt."""

    @property
    def index(self) -> int:
        """Which of the images of that prompt it is, from 0."""

    @property
    def prompt(self) -> str:
        """What is asked for; "" is nothing."""

    @property
    def seed(self) -> int:
        """What ``generate`` is given for it; no other prompt has it."""


@runtime_checkable
class Assignable(Protocol):
    """A model with the capability "assigned": its images exist already, and it must be told which ones are wanted."""

    def assign(self, planned: Sequence[PlannedSample]) -> None:
        """Takes down which image is which sample's; called before ``generate``.

        Raises:
            UserError: there is no image for a sample.
        """
        ...


def resolve_knobs(declared: Sequence[Knob], given: Mapping[str, object]) -> dict[str, Any]:
    """Returns every declared knob with its given value or its default.

    Raises:
        UserError: a given name is not declared, or a value is out of range.
    """
    by_name = {knob.name: knob for knob in declared}
    for name in given:
        if name not in by_name:
            raise UserError(f'unknown knob "{name}".', hint=suggest(name, by_name))
    return {name: knob.check(given.get(name, knob.default)) for name, knob in by_name.items()}


def check_batch(prompts: Sequence[str], seeds: Sequence[int]) -> None:
    """Raises UserError unless there is at least one prompt and one seed for each."""
    if isinstance(prompts, str):
        raise UserError("prompts must be a list of strings, not one string.")
    if len(prompts) == 0 or len(prompts) != len(seeds):
        raise UserError(f"generate() needs one seed for each prompt, got {len(prompts)} prompts, {len(seeds)} seeds.")


class SampleStreams:
    """One random stream for each sample, drawn on the CPU, so that neither batch mates nor the device matter."""

    def __init__(self, seeds: Sequence[int]) -> None:
        import torch

        self.generators: list[torch.Generator] = [torch.Generator("cpu").manual_seed(int(seed)) for seed in seeds]

    def uniform(self, count: int) -> torch.Tensor:
        """Returns float64 ``(B, count)`` in [0, 1)."""
        import torch

        return torch.stack([torch.rand(count, generator=g, dtype=torch.float64) for g in self.generators])

    def normal(self, *shape: int) -> torch.Tensor:
        """Returns float32 ``(B, *shape)`` of standard normal numbers."""
        import torch

        return torch.stack([torch.randn(shape, generator=g) for g in self.generators])
