"""Real images of any data set, measured set by set for the cache, or for a file of reference features."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trilemma.data.array_file import open_npz
from trilemma.data.classes import rows_of_class
from trilemma.data.datasets import DataSet, count_pictures
from trilemma.data.of_protocol import data_of
from trilemma.errors import UserError
from trilemma.families.control_cards import SHRINKING
from trilemma.protocol import Protocol, SampleSet
from trilemma.runner.plan import plan
from trilemma.runner.reference_file import ReferenceFile
from trilemma.runner.reference_sets import TRUTH_SEED, ReferenceSet, reference_sets

if TYPE_CHECKING:
    from trilemma.runner.generate import Instruments

BATCH = 64
COPY_TEST = ("training", "heldout")
"""Sets that a protocol can do without."""
KEPT = {
    "heldout": ("thumbnails", "read_label", "label"),
    "training": ("thumbnails",),
}
"""By set, what of its measurements is kept; of the others the features."""

Arrays = dict[str, NDArray[Any]]
Told = Callable[[int], None]


@dataclass(frozen=True, kw_only=True)
class _Batch:
    images_BHWC: NDArray[np.uint8]
    labels_B: NDArray[np.int64]


def needed_sets(protocol: Protocol, file: ReferenceFile | None) -> list[ReferenceSet]:
    """Returns the sets that are measured: those that a reference file does not hold."""
    if file is None:
        return reference_sets(protocol)
    missing = [entry for entry in reference_sets(protocol) if entry.name not in file.sets]
    if not file.images:
        return missing
    beside = ReferenceSet(name="reference", images=file.images, images_file=file.sha256)
    return [beside, *(entry for entry in missing if entry.name != "reference")]


def can_be_missing(entry: ReferenceSet, file: ReferenceFile | None) -> bool:
    """Whether numbers can be had without a set: what the copy test needs, and all that a reference file stands for."""
    return entry.name in COPY_TEST or (file is not None and entry.images_file is None)


def is_cached(entry: ReferenceSet, cache: Path, protocol: Protocol, identity: Mapping[str, str]) -> bool:
    """Whether a set's measurements are in the cache; never of a folder that is gone, whose content nobody knows."""
    try:
        return entry.path(cache, protocol, identity).is_file()
    except UserError:
        return False


def absence(entry: ReferenceSet, protocol: Protocol, *, advice: bool = False) -> str | None:
    """Returns why the images of a set are not there, with what to do about it if wanted; None where they are."""
    assert entry.split is not None
    try:
        found = count_pictures(data_of(protocol), entry.split)
    except UserError as error:
        told = str(error) if advice else error.what
        return f'the images of "{protocol.data}", split "{entry.split}", are not at hand: {told.rstrip(".")}'
    if found < entry.images:
        return f'the split "{entry.split}" of "{protocol.data}" has {found:,} images; {entry.images:,} are needed'
    return None


def measured_set(
    entry: ReferenceSet, protocol: Protocol, instruments: Instruments, file: ReferenceFile | None, told: Told
) -> Arrays:
    """Returns what is kept of the measurements of a set; ``told`` is called with how many images are done.

    Raises:
        UserError: the images are not at hand, or fewer than the set needs.
    """
    import torch

    parts: list[Arrays] = []
    done = 0
    for batch in _batches(entry, protocol, file):
        images = torch.from_numpy(np.ascontiguousarray(batch.images_BHWC.transpose(0, 3, 1, 2)))
        if entry.thumbnails_only:
            found: Mapping[str, NDArray[Any]] = {"thumbnails": instruments.thumbnails(images)}
        else:
            found = instruments.measure(images, [""] * len(images)) | {"label": batch.labels_B}
        parts.append({name: found[name] for name in KEPT.get(entry.name, ("features",)) if name in found})
        done += len(images)
        told(done)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _batches(entry: ReferenceSet, protocol: Protocol, file: ReferenceFile | None) -> Iterator[_Batch]:
    if entry.images_file is not None:
        assert file is not None
        return _of_file(file.path)
    data = data_of(protocol)
    assert entry.split is not None
    if entry.sample_set is None:
        rows_N = _first_rows(entry.split, entry.images, data)
    else:
        rows_N = _rows_of_classes(entry.sample_set, entry.start, entry.split, protocol, data)
    return _of_rows(rows_N, entry, entry.split, protocol, data)


def _first_rows(split: str, images: int, data: DataSet) -> NDArray[np.int64]:
    there = count_pictures(data, split)
    if there < images:
        raise UserError(f'the split "{split}" of {data.name} has {there:,} images; {images:,} are needed.')
    return np.arange(images)


def places_in(pool: ReferenceSet, entry: ReferenceSet, protocol: Protocol) -> NDArray[np.int64] | None:
    """Returns where the images of a set stand in the pool, (N,); None unless all of them are images of the pool."""
    if entry.sample_set is None or entry.split is None or entry.split != pool.split:
        return None
    rows_N = _rows_of_classes(entry.sample_set, entry.start, entry.split, protocol, data_of(protocol))
    return rows_N if rows_N.max() < pool.images else None


def _rows_of_classes(
    sample_set: SampleSet, start: int, split: str, protocol: Protocol, data: DataSet
) -> NDArray[np.int64]:
    """Returns rows in the order of the plan: the images of the first class, then those of the second, and so on."""
    each = sample_set.images_per_prompt
    planned = plan(protocol, TRUTH_SEED)[sample_set.name]
    labels = [one.label for one in planned[::each]]
    return np.concatenate([rows_of_class(data, split, label, each, start) for label in labels])


def _of_rows(
    rows_N: NDArray[np.int64], entry: ReferenceSet, split: str, protocol: Protocol, data: DataSet
) -> Iterator[_Batch]:
    for start in range(0, len(rows_N), BATCH):
        rows_B = rows_N[start : start + BATCH]
        images_BHWC = data.images(split, rows_B, protocol.resolution)
        if entry.reduced:
            from trilemma.families.controls import shrunk

            images_BHWC = shrunk(images_BHWC, max(1, protocol.resolution // SHRINKING))
        yield _Batch(images_BHWC=images_BHWC, labels_B=data.labels(split, rows_B))


def _of_file(path: Path) -> Iterator[_Batch]:
    images = open_npz(path).images()
    while batch := list(islice(images, BATCH)):
        yield _Batch(images_BHWC=np.stack(batch), labels_B=np.full(len(batch), -1, dtype=np.int64))
