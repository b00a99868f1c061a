"""Suspected copies, and the training images that they lie nearest to, drawn anew: the run keeps their numbers alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trilemma.data.datasets import OPENERS, open_data_set
from trilemma.errors import UserError
from trilemma.store.arrays import read_arrays
from trilemma.store.sheets import columns_for, sheet_name, sheets_of

if TYPE_CHECKING:
    from trilemma.report.record import Run

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
    chosen = training_images(suspects(run))
    split = training_split(run) if chosen else None
    if split is None:
        return {}
    protocol = run.record.spec["protocol"]
    side = int(protocol["resolution"])
    images = open_data_set(protocol["data"]).images(split, chosen, side)
    content = sheets_of(images, columns_for(side))
    return {f"{FOLDER}/{sheet_name(NAME, number)}": png for number, png in enumerate(content)}


def training_split(run: Run) -> str | None:
    """Returns the split that training images can be had of; None where the data are not known, or not at hand."""
    protocol: dict[str, Any] = run.record.spec.get("protocol") or {}
    name, split = protocol.get("data"), (protocol.get("reference") or {}).get("training_split")
    if not isinstance(name, str) or name not in OPENERS or not split or not isinstance(protocol.get("resolution"), int):
        return None
    try:
        open_data_set(name).count(split)
    except UserError:
        return None
    return str(split)


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
