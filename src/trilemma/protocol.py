"""How models are measured: a protocol, read from ``benchmarks/NAME.toml``."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from trilemma.card import check_name
from trilemma.errors import UserError
from trilemma.strict_toml import read


@dataclass(frozen=True, kw_only=True)
class SampleSet:
    """One set of images that every model makes.

    Attributes:
        prompts: "captions": a caption each; "none": the empty prompt; "repeated": each caption several times.
        split: the data split that the captions come from; "" for "none".
        images: how many in all.
        images_per_prompt: how many of each caption, with ``index`` 0, 1, ...
    """

    name: str
    prompts: Literal["captions", "none", "repeated"]
    images: int
    images_per_prompt: int = 1
    split: str = ""

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.images < 1 or self.images_per_prompt < 1 or self.images % self.images_per_prompt:
            raise UserError('"images" must be a positive multiple of "images_per_prompt".', where=self.name)
        if (self.prompts == "none") != (self.split == ""):
            raise UserError('"split" is for sets with captions, and they need one.', where=self.name)


@dataclass(frozen=True, kw_only=True)
class Extractors:
    """The networks that measure, by name: feature extractor, factor reader, CLIP."""

    features: str
    reader: str
    clip: str


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Real images, each set a split of its own.

    Attributes:
        images: what models are compared with, and what readings are recalibrated by.
        heldout_images: the copy test's honest images.
        floor_images: the pool that real images are drawn from to be compared with real ones.
        training_images: the copy test's originals.
    """

    images: int = 10_000
    split: str = "reference"
    heldout_images: int = 2_048
    heldout_split: str = "heldout"
    floor_images: int = 8_192
    floor_split: str = "floor"
    training_images: int = 100_000
    training_split: str = "train"


@dataclass(frozen=True, kw_only=True)
class SpeedSpec:
    """How speed is timed.

    Attributes:
        batch_sizes: the offline sweep, smallest first.
        warmup_calls: calls at the measured shape before the clock starts.
        min_seconds, min_calls: a batch size is timed until both are reached.
        budget_seconds: for all of one model; a batch size that would exceed it is recorded as skipped.
    """

    batch_sizes: tuple[int, ...] = (1, 16, 64, 256)
    warmup_calls: int = 1
    min_seconds: float = 0.5
    min_calls: int = 3
    budget_seconds: float = 20.0

    def __post_init__(self) -> None:
        if not self.batch_sizes or list(self.batch_sizes) != sorted({size for size in self.batch_sizes if size > 0}):
            raise UserError("must be positive and ascending.", where="batch_sizes")
        if self.warmup_calls < 1 or self.min_calls < 1:
            raise UserError('"warmup_calls" and "min_calls" must be at least 1.')


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """How much worse a metric may become before it counts: the larger of a share of the baseline and a number."""

    relative: float = 0.0
    absolute: float = 0.0

    def __post_init__(self) -> None:
        for name in ("relative", "absolute"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise UserError(f"must be a number of 0 or more, got {value}.", where=name)


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What a candidate must not make worse.

    Attributes:
        metrics: the gated metrics; of the others a gate says nothing.
        exact_images: whether images must be the baseline's, byte by byte, where the numeric environment is the same.
        margins: by metric, in the place of the suite's own.
    """

    metrics: tuple[str, ...] = ()
    exact_images: bool = False
    margins: dict[str, Allowance] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(set(self.metrics)) != len(self.metrics):
            raise UserError("names a metric twice.", where="metrics")


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A benchmark: data, sets, the networks that measure, metrics, the timing, and what a gate looks at.

    Attributes:
        extractors, reference: both or neither. Without them no network measures the images and no real image is
            looked at: what is left are the images' digests, and what is counted.
        speed: without it nothing is timed.
    """

    name: str
    version: int
    title: str
    resolution: int
    sets: tuple[SampleSet, ...]
    metrics: tuple[str, ...]
    extractors: Extractors | None = None
    data: str = "scenes"
    models: tuple[str, ...] = ()
    batch_size: int = 64
    reference: Reference | None = None
    speed: SpeedSpec | None = None
    gate: Gate = field(default_factory=Gate)

    def __post_init__(self) -> None:
        check_name(self.name)
        names = [sample_set.name for sample_set in self.sets]
        if not names or len(set(names)) != len(names):
            raise UserError("a protocol needs sets, each with a name of its own.", where="sets")
        if self.batch_size < 1 or self.resolution < 1:
            raise UserError('"batch_size" and "resolution" must be at least 1.')
        if (self.extractors is None) != (self.reference is None):
            raise UserError("[extractors] and [reference] belong together: give both, or neither.")
        if self.metrics and self.extractors is None:
            raise UserError(
                "these are measured by networks: [extractors] and [reference] are missing.", where="metrics"
            )


def load_protocol(path: Path) -> Protocol:
    """Returns the protocol that a TOML file holds; anything wrong in it raises UserError naming file and key."""
    return read(path, Protocol)
