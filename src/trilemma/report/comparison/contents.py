"""What the page, the Markdown and the JSON of two runs tell, worked out once."""

from __future__ import annotations

from dataclasses import dataclass

from trilemma.report.comparison import changed_images, differing, verdicts
from trilemma.report.comparison.changed_images import ModelImages
from trilemma.report.comparison.differing import Group
from trilemma.report.comparison.pair import Pair
from trilemma.report.comparison.verdicts import ModelVerdicts


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Two runs with everything that is told of them, in the order of the page."""

    pair: Pair
    verdicts: tuple[ModelVerdicts, ...]
    images: tuple[ModelImages, ...]
    differing: tuple[Group, ...]


def contents(pair: Pair) -> Contents:
    """Returns what is told of two runs."""
    return Contents(
        pair=pair,
        verdicts=tuple(verdicts.of_models(pair)),
        images=tuple(changed_images.of_models(pair)),
        differing=tuple(differing.groups(pair)),
    )
