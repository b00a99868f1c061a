"""How models are measured: a protocol, read from ``benchmarks/NAME.toml``."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

from trilemma.card import check_name
from trilemma.comparable import Comparable
from trilemma.errors import UserError
from trilemma.strict_toml import NOT_IN_FILE, read

SCENES = "scenes"
"""The data set whose truth is known: it has metrics, instruments and controls of its own."""
PROMPTED = "prompted"
"""The name of the set that quality is measured on."""


@dataclass(frozen=True, kw_only=True)
class SampleSet:
    """One set of images that every model makes.

    Attributes:
        prompts: "captions": a prompt each; "classes": each class of the data set equally often, in turn; "none": the
            empty prompt; "repeated": each prompt several times.
        split: the data split that the captions come from; or
        file: a file of prompts beside the protocol's own. "repeated" takes classes where it names neither.
        column: of the file, where it has columns and none is called "prompt", "caption" or "text".
        sha256: of the file's bytes, where only that content will do.
        images: how many in all.
        images_per_prompt: how many of each caption, with ``index`` 0, 1, ...
    """

    name: str
    prompts: Literal["captions", "classes", "none", "repeated"]
    images: int
    images_per_prompt: int = 1
    split: str = ""
    # None, and so absent from a dumped set: the digests of measurements made before these keys stay what they are.
    file: str | None = None
    column: str | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.images < 1 or self.images_per_prompt < 1 or self.images % self.images_per_prompt:
            raise UserError('"images" must be a positive multiple of "images_per_prompt".', where=self.name)
        given = (self.split != "") + (self.file is not None)
        if self.prompts == "captions" and given != 1:
            raise UserError('captions come from a "split" or from a "file".', where=self.name)
        if self.prompts in ("none", "classes") and given:
            raise UserError('"split" and "file" are for sets with captions.', where=self.name)
        if self.prompts == "repeated" and given > 1:
            raise UserError('prompts come from a "split" or from a "file", not from both.', where=self.name)
        if self.prompts == "classes" and self.images_per_prompt != 1:
            raise UserError('classes come in turn; several images of each in a row are "repeated".', where=self.name)
        if self.file is None and (self.column is not None or self.sha256 is not None):
            raise UserError('"column" and "sha256" are for a "file".', where=self.name)
        if self.file is not None:
            check_relative(self.file, f"{self.name}: file")

    @property
    def takes_classes(self) -> bool:
        """Whether the prompts are names of classes."""
        return self.prompts == "classes" or (self.prompts == "repeated" and not self.split and self.file is None)


@dataclass(frozen=True, kw_only=True)
class Extractors:
    """The networks that measure, by name: an instrument of the suite's own, or a preset of ``features.presets``.

    Attributes:
        features: the extractor.
        reader: reads what an image shows: on Scenes factors, elsewhere the class.
        clip: compares an image with its prompt.
        optional: the roles, "reader" or "clip", that are left out where their weights are not at hand.
    """

    features: str
    reader: str | None = None
    clip: str | None = None
    optional: tuple[Literal["reader", "clip"], ...] | None = None

    def __post_init__(self) -> None:
        for role in self.optional or ():
            if getattr(self, role) is None:
                raise UserError(f'"{role}" is named nowhere.', where="optional")

    def roles(self) -> dict[str, str]:
        """Returns role → name of what is named."""
        named = {"features": self.features, "reader": self.reader, "clip": self.clip}
        return {role: name for role, name in named.items() if name is not None}


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Real images, each set a split of its own. Outside of Scenes 0 images of a kind are none.

    Attributes:
        images: what models are compared with, and what readings are recalibrated by.
        heldout_images: the copy test's honest images.
        floor_images: the pool that real images are drawn from to be compared with real ones.
        training_images: the copy test's originals.
        features: a file beside the protocol's own, with the features of these images or their statistics. Where it
            is there it is what models are compared with, on every machine; images are needed for what it lacks.
        sha256: of that file's bytes, where only that content will do.
        source: where the file can be had.
    """

    images: int = 10_000
    split: str = "reference"
    heldout_images: int = 2_048
    heldout_split: str = "heldout"
    floor_images: int = 8_192
    floor_split: str = "floor"
    training_images: int = 100_000
    training_split: str = "train"
    features: str | None = None
    sha256: str | None = None
    source: str | None = None

    def __post_init__(self) -> None:
        if self.features is None and (self.sha256 is not None or self.source is not None):
            raise UserError('"sha256" and "source" are of the file that "features" names.')
        if self.features is not None:
            check_relative(self.features, "features")
        for name in ("heldout_images", "floor_images", "training_images"):
            if getattr(self, name) < 0:
                raise UserError("must be 0 or more.", where=name)
        if self.images < 1:
            raise UserError("must be at least 1.", where="images")


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
        data: a data set's name, or the path of a folder of images, with a "/" in it, relative to the protocol's file.
        extractors, reference: both or neither. Without them no network measures the images and no real image is
            looked at: what is left are the images' digests, and what is counted.
        speed: without it nothing is timed.
        outputs: "resized": images of another size than ``resolution`` are measured at it; without it they are refused.
        comparable: which published numbers its own can stand beside.
        home: the folder of the protocol's file; None where it came from a record.
    """

    name: str
    version: int
    title: str
    resolution: int
    sets: tuple[SampleSet, ...]
    metrics: tuple[str, ...]
    extractors: Extractors | None = None
    data: str = SCENES
    models: tuple[str, ...] = ()
    batch_size: int = 64
    reference: Reference | None = None
    speed: SpeedSpec | None = None
    gate: Gate = field(default_factory=Gate)
    # None, and so absent from a dumped protocol, as in the records made before there were these keys.
    outputs: Literal["resized"] | None = None
    comparable: Comparable | None = None
    home: Path | None = field(default=None, compare=False, metadata=NOT_IN_FILE)

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
        if self.knows_truth:
            self._check_scenes()

    @property
    def knows_truth(self) -> bool:
        """Whether the data are Scenes, of which everything is known."""
        return self.data == SCENES

    @property
    def main_set(self) -> SampleSet:
        """The set that stands for the model: "prompted", or else the first."""
        return next((entry for entry in self.sets if entry.name == PROMPTED), self.sets[0])

    def _check_scenes(self) -> None:
        for entry in self.sets:
            if entry.takes_classes or entry.file is not None:
                raise UserError("Scenes have no classes, and captions of their own.", where=f"sets: {entry.name}")
        for role in ("reader", "clip") if self.extractors is not None else ():
            if getattr(self.extractors, role) is None:
                raise UserError(f'the key "{role}" is missing, which Scenes need.', where="extractors")


def check_relative(path: str, where: str) -> None:
    """Raises UserError where a file that a protocol names lies outside of the protocol's folder."""
    parts = PurePosixPath(path).parts
    if not parts or "\\" in path or path.startswith(("/", "~")) or ".." in parts:
        raise UserError(f"must be a path inside the protocol's folder, got {path!r}.", where=where)


def load_protocol(path: Path) -> Protocol:
    """Returns the protocol that a TOML file holds; anything wrong in it raises UserError naming file and key."""
    return read(path, Protocol, home=path.resolve().parent)
