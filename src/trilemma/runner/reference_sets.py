"""Which measurements of real images a protocol needs, and where they are kept between runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trilemma.data.datasets import plugin_of
from trilemma.data.of_protocol import data_of
from trilemma.identity import digest
from trilemma.protocol import Protocol, Reference, SampleSet
from trilemma.strict_toml import dump

FORMAT = 3
# Not a run's seed: the truth within a prompt must not be the very draws of the control "real".
TRUTH_SEED = -1
SetName = Literal["reference", "heldout", "floor", "training", "within", "within_real", "reduced"]


@dataclass(frozen=True, kw_only=True)
class ReferenceSet:
    """Real images, or those of a control, that every model is compared with.

    Attributes:
        split: the data split they are; or
        control: the kind of control that makes them, from the plan of ``sample_set``.
        sample_set: with a ``split``: as many images of each class as this set makes of each prompt.
        thumbnails_only: no network measures them.
        reduced: they are shrunk and enlarged again.
        start: how many images of each class are passed over.
        images_file: the sha256 of a reference file, whose images they are.
    """

    name: SetName
    images: int
    split: str | None = None
    control: str | None = None
    sample_set: SampleSet | None = None
    thumbnails_only: bool = False
    reduced: bool = False
    start: int = 0
    images_file: str | None = None

    def images_of(self) -> dict[str, Any]:
        """Returns which images of a data set these are: what features in a file have to agree with."""
        told: dict[str, Any] = {
            "images": self.images,
            "split": self.split,
            "start": self.start,
            "reduced": self.reduced,
        }
        return told | ({} if self.sample_set is None else {"sample_set": dump(self.sample_set)})

    def digest(self, protocol: Protocol, identity: Mapping[str, str]) -> str:
        """Returns the sha256 of everything that the measurements depend on.

        Raises:
            UserError: the data are a folder that is not there.
        """
        content: dict[str, Any] = {
            "format": FORMAT,
            "data": [protocol.data, self._version(protocol), protocol.resolution],
            "images": self.images,
            "split": self.split,
            "control": self.control,
            "sample_set": dump(self.sample_set) if self.sample_set is not None else None,
            "instruments": None if self.thumbnails_only else self._instruments(protocol, identity),
        }
        if self.control is not None:
            content["seed"] = [protocol.name, TRUTH_SEED]
        plugin = plugin_of(protocol.data)
        others: dict[str, Any] = {"plugin": plugin.owner} if plugin is not None else {}
        others |= {"reduced": self.reduced, "start": self.start, "images_file": self.images_file}
        return digest(content | {name: value for name, value in others.items() if value})

    def _instruments(self, protocol: Protocol, identity: Mapping[str, str]) -> dict[str, str]:
        """Over other data than Scenes, those whose measurements are kept: others may be missing on other machines."""
        roles = ("features", "reader") if self.name == "heldout" else ("features",)
        return {role: told for role, told in identity.items() if protocol.knows_truth or role in roles}

    def _version(self, protocol: Protocol) -> int | None:
        """Of the pictures; those of a file are told by its own sha256."""
        return data_of(protocol).version if self.images_file is None else None

    def path(self, cache: Path, protocol: Protocol, identity: Mapping[str, str]) -> Path:
        """Returns the path of the measurements in the cache folder."""
        return cache / "reference" / f"{self.name}-{self.digest(protocol, identity)[:24]}.npz"


def reference_sets(protocol: Protocol) -> list[ReferenceSet]:
    """Returns what a protocol needs: real splits, the truth within prompts, and what anchors quality."""
    reference = protocol.reference
    if reference is None:
        return []
    return _of_scenes(protocol, reference) if protocol.knows_truth else _of_data(protocol, reference)


def _of_scenes(protocol: Protocol, reference: Reference) -> list[ReferenceSet]:
    needed = _splits(reference)
    for prompts, name, control in (("captions", "reduced", "reduced"), ("repeated", "within", "real")):
        entry = next((item for item in protocol.sets if item.prompts == prompts), None)
        if entry is not None:
            needed.append(ReferenceSet(name=name, images=entry.images, control=control, sample_set=entry))  # type: ignore[arg-type]
    return needed


def _of_data(protocol: Protocol, reference: Reference) -> list[ReferenceSet]:
    """The copy test needs training images and held-out ones, a reader held-out ones, scores the pool of real ones."""
    copies = "copy_rate" in protocol.metrics
    reads = protocol.extractors is not None and protocol.extractors.reader is not None
    used = {"reference", "floor", *(["training"] if copies else []), *(["heldout"] if copies or reads else [])}
    needed = [entry for entry in _splits(reference) if entry.images and entry.name in used]
    if not reference.floor_images:
        return needed
    images = min(reference.floor_images, protocol.main_set.images)
    needed.append(ReferenceSet(name="reduced", images=images, split=reference.floor_split, reduced=True))
    within = next((entry for entry in protocol.sets if entry.prompts == "repeated" and entry.takes_classes), None)
    if within is not None:
        split = reference.floor_split
        needed.append(ReferenceSet(name="within", images=within.images, split=split, sample_set=within))
        start = within.images_per_prompt
        needed.append(
            ReferenceSet(name="within_real", images=within.images, split=split, sample_set=within, start=start)
        )
    return needed


def _splits(reference: Reference) -> list[ReferenceSet]:
    return [
        ReferenceSet(name="reference", images=reference.images, split=reference.split),
        ReferenceSet(name="heldout", images=reference.heldout_images, split=reference.heldout_split),
        ReferenceSet(name="floor", images=reference.floor_images, split=reference.floor_split),
        ReferenceSet(
            name="training",
            images=reference.training_images,
            split=reference.training_split,
            thumbnails_only=True,
        ),
    ]
