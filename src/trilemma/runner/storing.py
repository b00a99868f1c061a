"""A batch that was drawn, and how it is stored: a row for each image, arrays beside it, the images that are kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trilemma.runner.job import Job
from trilemma.runner.kept import keep_pixels
from trilemma.runner.plan import Planned
from trilemma.store.parts import write_part
from trilemma.store.tables import SCALARS

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A batch of images on the host, uint8 ``(B, 3, H, W)``.

    Attributes:
        measured: arrays of B rows; none where no networks measure.
        made: what every row of the batch says of where, when and how it was made.
    """

    chosen: Sequence[Planned]
    images: torch.Tensor
    measured: Mapping[str, NDArray[Any]]
    made: Mapping[str, Any]


def store_batch(job: Job, number: int, drawn: Drawn, kept: frozenset[str]) -> None:
    """Stores a batch as the part ``number`` of its set; ``kept`` holds the keys of the images that stay."""
    pixels_BHWC = np.ascontiguousarray(drawn.images.permute(0, 2, 3, 1).numpy())
    scalars = _scalars(drawn.measured)
    rows = [
        {
            **_row(job.name, entry),
            **drawn.made,
            "batch": number,
            "image_sha256": _pixel_digest(pixels),
            "width": pixels.shape[1],
            "height": pixels.shape[0],
            **{name: values[i] for name, values in scalars.items()},
        }
        for i, (entry, pixels) in enumerate(zip(drawn.chosen, pixels_BHWC, strict=True))
    ]
    keep_pixels(job.folder, job.name, number, drawn.chosen, pixels_BHWC, kept)
    arrays = {name: array for name, array in drawn.measured.items() if name not in SCALARS}
    write_part(job.folder, job.name, drawn.chosen[0].set, number, rows, arrays)


def _pixel_digest(pixels_HWC: NDArray[np.uint8]) -> str:
    """Returns the sha256 of an image's RGB bytes, row by row."""
    return hashlib.sha256(pixels_HWC.data).hexdigest()


def _row(model: str, entry: Planned) -> dict[str, Any]:
    shape, color, background = entry.target
    return {
        "model": model,
        "set": entry.set,
        "key": entry.key,
        "prompt_id": entry.prompt_id,
        "index": entry.index,
        "seed": entry.seed,
        "prompt": entry.prompt,
        "status": "ok",
        "target_shape": shape,
        "target_color": color,
        "target_background": background,
        "target_label": entry.label,
    }


def _scalars(measured: Mapping[str, NDArray[Any]]) -> dict[str, list[Any]]:
    """Returns what is one number per image as columns of plain numbers; NaN becomes null."""
    columns = {name: measured[name].tolist() for name in SCALARS if name in measured}
    return {name: [None if value != value else value for value in values] for name, values in columns.items()}
