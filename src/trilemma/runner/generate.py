"""Generates the planned sets batch by batch, measures each batch at once, and stores it before the next begins."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trilemma.errors import UserError
from trilemma.generator import Generator
from trilemma.runner.channel import Channel
from trilemma.runner.devices import gpu_uuid
from trilemma.runner.environment import node
from trilemma.runner.grids import grid_entries, keep_for_grid
from trilemma.runner.job import Job
from trilemma.runner.plan import Planned, batches
from trilemma.store.parts import is_done, write_part
from trilemma.store.tables import SCALARS

if TYPE_CHECKING:
    import torch


class Instruments(Protocol):
    """The networks that measure images."""

    identity: dict[str, str]

    def measure(self, images: torch.Tensor, prompts: list[str]) -> dict[str, NDArray[Any]]:
        """Returns arrays of B rows for uint8 images ``(B, 3, H, W)``."""
        ...

    def thumbnails(self, images: torch.Tensor) -> NDArray[np.uint8]:
        """Returns the array "thumbnails" of :meth:`measure` alone, without running a network."""
        ...


@dataclass(frozen=True, kw_only=True)
class Output:
    """What a model's images must be under a protocol."""

    resolution: int

    def check(self, images: torch.Tensor, count: int) -> torch.Tensor:
        """Returns the images; raises UserError unless they are uint8 ``(count, 3, R, R)``."""
        wanted = (count, 3, self.resolution, self.resolution)
        if str(images.dtype) != "torch.uint8" or tuple(images.shape) != wanted:
            got = f"{images.dtype} {tuple(images.shape)}"
            raise UserError(f"the model must return torch.uint8 {wanted} under this protocol, it returned {got}.")
        return images


def generate_sets(
    job: Job,
    generator: Generator,
    knobs: Mapping[str, Any],
    instruments: Instruments | None,
    entries: Mapping[str, Sequence[Planned]],
    channel: Channel,
) -> None:
    """Makes every batch that is not stored yet; without instruments, of its images only the digests are kept."""
    total = sum(len(planned) for planned in entries.values())
    done = 0
    for set_name, planned in entries.items():
        shown = frozenset(entry.key for entry in grid_entries(planned))
        for number, chosen in batches(planned, job.protocol.batch_size):
            if not is_done(job.folder, job.name, set_name, number):
                images, made = _make_batch(job, generator, knobs, chosen)
                _store_batch(job, instruments, chosen, number, images, made, shown)
            done += len(chosen)
            channel.progress(set_name, done, total)


def _make_batch(
    job: Job, generator: Generator, knobs: Mapping[str, Any], chosen: Sequence[Planned]
) -> tuple[torch.Tensor, dict[str, Any]]:
    """Returns the images on the host and what is to be said of how they were made."""
    before, start = generator.evaluations, time.time()
    images = generator.generate([entry.prompt for entry in chosen], [entry.seed for entry in chosen], **knobs)
    checked = Output(resolution=job.protocol.resolution).check(images, len(chosen))
    on_host = checked.cpu()
    made = {"t_start": start, "t_end": time.time(), "evaluations": (generator.evaluations - before) / len(chosen)}
    where = {"attempt": job.attempt, "node": node(), "gpu_uuid": gpu_uuid(checked.device), "worker": os.getpid()}
    return on_host, made | where


def _store_batch(
    job: Job,
    instruments: Instruments | None,
    chosen: Sequence[Planned],
    number: int,
    images: torch.Tensor,
    made: dict[str, Any],
    shown: frozenset[str],
) -> None:
    measured = instruments.measure(images, [entry.prompt for entry in chosen]) if instruments is not None else {}
    pixels_BHWC = np.ascontiguousarray(images.permute(0, 2, 3, 1).numpy())
    rows = [
        {
            **_row(job.name, entry),
            **made,
            "batch": number,
            "image_sha256": pixel_digest(pixels),
            "width": pixels.shape[1],
            "height": pixels.shape[0],
            **_scalars(measured, i),
        }
        for i, (entry, pixels) in enumerate(zip(chosen, pixels_BHWC, strict=True))
    ]
    keep_for_grid(job.folder, job.name, number, chosen, pixels_BHWC, shown)
    write_part(job.folder, job.name, chosen[0].set, number, rows, arrays_of(measured))


def arrays_of(measured: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Returns the measurements that are more than one number per image."""
    return {name: array for name, array in measured.items() if name not in SCALARS}


def pixel_digest(pixels_HWC: NDArray[np.uint8]) -> str:
    """Returns the sha256 of an image's RGB bytes, row by row."""
    return hashlib.sha256(pixels_HWC.tobytes()).hexdigest()


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
    }


def _scalars(measured: Mapping[str, NDArray[Any]], row: int) -> dict[str, Any]:
    values = {name: measured[name][row].item() for name in SCALARS if name in measured}
    return {name: None if value != value else value for name, value in values.items()}  # NaN becomes null
