"""One of the two things that a score compares, before any network has seen it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from trilemma.data.sources import ImageSource
from trilemma.metrics.statistics_file import ReferenceStatistics
from trilemma.scoring.feature_set import FeatureSet

Kind = Literal["images", "statistics", "scenes", "model", "run"]


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """A statistics file's content, and the sha256 of its arrays."""

    content: ReferenceStatistics
    digest: str


@dataclass(frozen=True, kw_only=True)
class Side:
    """Images, or what is left of them.

    Attributes:
        name: what was given, for people and the record; no number depends on it.
        kind: how it was found.
        images: the images; None for statistics and for runs, which keep none.
        statistics: Gaussians that somebody fitted; beside ``images`` in ADM's reference batches.
        stored: the features that a finished run has kept, which the preset ``scenes`` would make, and thumbnails.
        stored_size: (H, W) of the images that these are of.
        prompts: one per image, or None.
        grouped: whether images of one prompt belong together: a few prompts with several images each.
        origin: what else there is to say of it, for the record: a model's case, a run's id.
    """

    name: str
    kind: Kind
    images: ImageSource | None = None
    statistics: Statistics | None = None
    stored: FeatureSet | None = None
    stored_size: tuple[int, int] | None = None
    prompts: tuple[str, ...] | None = None
    grouped: bool = False
    origin: Mapping[str, Any] = field(default_factory=dict)
