"""Suspected copies, and the training images that they lie nearest to, drawn anew: the run keeps their numbers alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trilemma.data import scenes
from trilemma.errors import UserError
from trilemma.metrics.catalog import METRICS
from trilemma.store.arrays import read_arrays
from trilemma.store.sheets import columns_for, sheet_name, sheets_of

if TYPE_CHECKING:
    from trilemma.report.record import Run

SET = METRICS["copy_rate"].set
NAME = "nearest"
FOLDER = "figures"


@dataclass(frozen=True, kw_only=True)
class Suspect:
    """An image that lies nearer to a training image than 99 % of held-out real images do.

    Attributes:
        row: of the image in its set.
        training: the number of the training image.
        distance: RMS grey levels between their thumbnails.
    """

    row: int
    training: int
    distance: float


def suspects(run: Run) -> dict[str, list[Suspect]]:
    """Returns every model's suspected copies in the set that the copy test looks at; none where a run kept none."""
    return {model: _of_model(run, model) for model in run.models}


def training_images(found: Mapping[str, list[Suspect]]) -> list[int]:
    """Returns the numbers of the training images, each once, in the order in which they stand on the sheets."""
    return sorted({suspect.training for of_model in found.values() for suspect in of_model})


def nearest_sheets(run: Run) -> dict[str, bytes]:
    """Returns the sheets of the training images beside suspected copies, by their paths in the run's folder."""
    chosen, split = training_images(suspects(run)), training_split(run)
    if not chosen or split is None:
        return {}
    side = int(run.record.spec["protocol"]["resolution"])
    content = sheets_of(scenes.images(split, chosen, side), columns_for(side))
    return {f"{FOLDER}/{sheet_name(NAME, number)}": png for number, png in enumerate(content)}


def training_split(run: Run) -> str | None:
    """Returns the split that training images can be drawn of; None where the data are not known here."""
    protocol: dict[str, Any] = run.record.spec.get("protocol") or {}
    known = protocol.get("data") == "scenes" and isinstance(protocol.get("resolution"), int)
    split = (protocol.get("reference") or {}).get("training_split")
    return str(split) if known and split else None


def _of_model(run: Run, model: str) -> list[Suspect]:
    row, path = run.find(model, "copy_rate"), run.folder.copies(model)
    threshold = None if row is None else row.params.get("threshold")
    if threshold is None or not path.is_file():
        return []
    try:
        stored = read_arrays(path)
        distance_N, nearest_N = stored["distance"], stored["nearest"]
    except (UserError, KeyError):  # a report shows what else there is
        return []
    return [
        Suspect(row=int(i), training=int(nearest_N[i]), distance=float(distance_N[i]))
        for i in np.flatnonzero(distance_N < threshold)
    ]
