"""How a run's cost grows with the number of images: seconds to make them, and to measure them, batch after batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trilemma.report.tables import shown_models

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from trilemma.report.record import Run

POINTS = 60
"""Of a model at the most: a line through more looks no different."""


@dataclass(frozen=True, kw_only=True)
class ImageCost:
    """One model over the images that it made; what the suite did in between is no part of any time here.

    Attributes:
        images: how many there were after some of its batches, the last one always among them.
        made: seconds that its own calls had taken by then. measured: seconds of the networks that measure the images,
            None where the record does not say when a batch was measured.
        halves: milliseconds that an image took to make in the first and in the second half of the images; None with
            fewer than two batches.
    """

    model: str
    images: tuple[int, ...]
    made: tuple[float, ...]
    measured: tuple[float, ...] | None
    halves: tuple[float, float] | None


def image_costs(run: Run) -> list[ImageCost]:
    """Returns the cost of every model of which the record says when its batches were made, in the order of the run."""
    known = run.samples.dropna(subset=["t_start", "t_end"])
    return [_cost(model, rows) for model in shown_models(run) if len(rows := known[known["model"] == model])]


def _cost(model: str, rows: pd.DataFrame) -> ImageCost:
    batches = rows.groupby(["set", "batch"], sort=False, dropna=False)
    spans = batches[["t_start", "t_end", "t_measured"]].first().assign(images=batches.size())
    spans = spans.sort_values("t_start", kind="stable")
    images, made = spans["images"].cumsum().to_numpy(), (spans["t_end"] - spans["t_start"]).cumsum().to_numpy(float)
    known = bool(spans["t_measured"].notna().all())
    measured = (spans["t_measured"] - spans["t_end"]).cumsum().to_numpy(float) if known else None
    shown = np.unique(np.linspace(0, len(images) - 1, min(POINTS, len(images))).round().astype(int))
    return ImageCost(
        model=model,
        images=tuple(int(number) for number in images[shown]),
        made=tuple(float(seconds) for seconds in made[shown]),
        measured=None if measured is None else tuple(float(seconds) for seconds in measured[shown]),
        halves=_halves(images, made),
    )


def _halves(images: NDArray[np.int64], made: NDArray[np.float64]) -> tuple[float, float] | None:
    """Returns milliseconds per image before and after the batch with which half of the images are there."""
    middle = int(np.searchsorted(images, images[-1] / 2))
    if middle + 1 >= len(images):
        return None
    later = (made[-1] - made[middle]) / (images[-1] - images[middle])
    return 1e3 * float(made[middle] / images[middle]), 1e3 * float(later)


def unrecorded(run: Run, found: Sequence[ImageCost]) -> list[str]:
    """Returns the models that :func:`image_costs` says nothing of."""
    told = {cost.model for cost in found}
    return [model for model in shown_models(run) if model not in told]
