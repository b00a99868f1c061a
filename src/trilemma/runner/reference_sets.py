"""Which measurements of real images a protocol needs, and where they are kept between runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trilemma.data import scenes
from trilemma.identity import digest
from trilemma.protocol import Protocol, SampleSet
from trilemma.strict_toml import dump

FORMAT = 3
# Not a run's seed: the truth within a prompt must not be the very draws of the control "real".
TRUTH_SEED = -1


@dataclass(frozen=True, kw_only=True)
class ReferenceSet:
    """Real images, or those of a control, that every model is compared with.

    Attributes:
        split: the data split they are; or
        control: the kind of control that makes them, from the plan of ``sample_set``.
        thumbnails_only: no network measures them.
    """

    name: Literal["reference", "heldout", "floor", "training", "within", "reduced"]
    images: int
    split: str | None = None
    control: str | None = None
    sample_set: SampleSet | None = None
    thumbnails_only: bool = False

    def digest(self, protocol: Protocol, identity: Mapping[str, str]) -> str:
        """Returns the sha256 of everything that the measurements depend on."""
        content: dict[str, Any] = {
            "format": FORMAT,
            "data": [protocol.data, scenes.VERSION, protocol.resolution],
            "images": self.images,
            "split": self.split,
            "control": self.control,
            "sample_set": dump(self.sample_set) if self.sample_set is not None else None,
            "instruments": None if self.thumbnails_only else dict(identity),
        }
        if self.control is not None:
            content["seed"] = [protocol.name, TRUTH_SEED]
        return digest(content)

    def path(self, cache: Path, protocol: Protocol, identity: Mapping[str, str]) -> Path:
        """Returns the path of the measurements in the cache folder."""
        return cache / "reference" / f"{self.name}-{self.digest(protocol, identity)[:24]}.npz"


def reference_sets(protocol: Protocol) -> list[ReferenceSet]:
    """Returns what a protocol needs: real splits, the truth within prompts, and the control that anchors quality."""
    reference = protocol.reference
    if reference is None:
        return []
    needed = [
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
    for prompts, name, control in (("captions", "reduced", "reduced"), ("repeated", "within", "real")):
        entry = next((item for item in protocol.sets if item.prompts == prompts), None)
        if entry is not None:
            needed.append(ReferenceSet(name=name, images=entry.images, control=control, sample_set=entry))  # type: ignore[arg-type]
    return needed
