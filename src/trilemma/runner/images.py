"""What a model leaves to look at: grids, and sheets of all its images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trilemma.runner.grids import write_grid
from trilemma.runner.job import Job
from trilemma.runner.kept import kept_pixels
from trilemma.runner.plan import Planned
from trilemma.store.sheets import write_sheets


def write_images(job: Job, entries: Mapping[str, Sequence[Planned]]) -> None:
    """Writes what ``job.images`` asks for, of the batches that are all stored by now.

    The plan and the pixels alone decide the bytes, so that a run that was continued ends with those of an undisturbed
    one.
    """
    if job.images == "none":
        return
    size = job.protocol.batch_size
    for planned in entries.values():
        write_grid(job.folder.images(job.name), planned, kept_pixels(job.folder, job.name, planned, size))
    if job.images == "all":
        kept = {name: kept_pixels(job.folder, job.name, planned, size) for name, planned in entries.items()}
        sets = {name: (len(entries[name]), (pixels for _, pixels in images)) for name, images in kept.items()}
        write_sheets(job.folder.sheets(job.name), _side(job, entries), sets)


def _side(job: Job, entries: Mapping[str, Sequence[Planned]]) -> int:
    """Returns the size of a model's images, which need not be the protocol's: they are kept as they were drawn."""
    planned = next(iter(entries.values()))
    _, pixels = next(kept_pixels(job.folder, job.name, planned, job.protocol.batch_size))
    return int(pixels.shape[0])
