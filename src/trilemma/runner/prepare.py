"""``prepare``: what a protocol needs of real images, as a file that stands in their place on other machines."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trilemma.data.of_protocol import places
from trilemma.errors import UserError
from trilemma.features import identity, named
from trilemma.protocol import Protocol
from trilemma.runner.data_anchors import accuracy_of
from trilemma.runner.data_reference import Arrays, is_cached, measured_set, places_in
from trilemma.runner.reference_file import ENDING, HELDOUT, POOL, arrays_of
from trilemma.runner.reference_sets import ReferenceSet, SetName, reference_sets
from trilemma.store.arrays import read_arrays
from trilemma.store.atomic import write_arrays
from trilemma.workspace import is_carried

if TYPE_CHECKING:
    from trilemma.runner.generate import Instruments

Progress = Callable[[str, int, int], None]
TRAINING = "training"
OUT = "Give one: --out FILE.npz."
ELSEWHERE = "Write it elsewhere: --out FILE.npz."


def prepare(protocol: Protocol, path: Path | None, *, device: str, cache: Path, progress: Progress) -> dict[str, Any]:
    """Writes the reference features of a protocol and returns what was written: path, and images by set.

    Args:
        path: where to; by default where the protocol looks for them.
        cache: where measurements of real images are kept.
        progress: is told a set's name, how many of its images are done, and of how many.

    Raises:
        UserError: the protocol compares with no real images, or with Scenes, which need no file; it names no file and
            no path is given; a file would stand in the place of a published one, or in the installed suite; images or
            weights are not at hand.
    """
    path = _path(protocol, path)
    named.check(protocol)
    digests, sets = identity(protocol), {s.name: s for s in reference_sets(protocol) if s.name != TRAINING}
    instruments = functools.cache(partial(_instruments, protocol, device))  # not before they are needed
    rows = _rows_in_pool(sets, protocol)
    found = {n: _arrays(s, protocol, digests, instruments, cache, progress) for n, s in sets.items() if n not in rows}
    heldout = found.pop(HELDOUT, {})  # type: ignore[call-overload]
    accuracy = accuracy_of(heldout) if "read_label" in heldout else {}
    features = {str(name): arrays["features"] for name, arrays in found.items()}
    write_arrays(path, arrays_of(protocol, digests, features, rows, accuracy))
    images = {str(name): entry.images for name, entry in sets.items() if name != HELDOUT}
    return {"file": str(path), "images": images, "reader_accuracy": accuracy}


def _path(protocol: Protocol, path: Path | None) -> Path:
    if protocol.reference is None or protocol.knows_truth:
        what = "is over Scenes, which are drawn" if protocol.knows_truth else "compares with no real images"
        raise UserError(f'the protocol "{protocol.name}" {what}: there is nothing to prepare.')
    if path is None:
        if protocol.reference.features is None or protocol.home is None:
            raise UserError(f'the protocol "{protocol.name}" names no file of features.', hint=OUT)
        path = protocol.home / protocol.reference.features
    if path.suffix != ENDING:
        raise UserError(f"reference features are written to a file in {ENDING}.", where=str(path))
    _check_free(protocol, path := path.expanduser())
    return path


def _check_free(protocol: Protocol, path: Path) -> None:
    """Beside a protocol, a file of ours would be found before the published one, for good."""
    reference = protocol.reference
    assert reference is not None
    taken = places(protocol, reference.features) if reference.features is not None and reference.source else []
    if path.resolve() in [place.resolve() for place in taken]:
        what = f'this is the place of the published file "{reference.features}", from {reference.source}.'
        raise UserError(what, where=str(path), hint=ELSEWHERE)
    if is_carried(path):
        raise UserError("this lies in the installed suite, which nobody writes to.", where=str(path), hint=ELSEWHERE)


def _rows_in_pool(sets: Mapping[SetName, ReferenceSet], protocol: Protocol) -> dict[str, NDArray[np.int64]]:
    """What is in the pool already is neither measured nor written again."""
    pool = next((entry for name, entry in sets.items() if name == POOL), None)
    if pool is None:
        return {}
    places = {str(name): places_in(pool, entry, protocol) for name, entry in sets.items()}
    return {name: places_N for name, places_N in places.items() if places_N is not None}


def _arrays(
    entry: ReferenceSet,
    protocol: Protocol,
    digests: dict[str, str],
    instruments: Callable[[], Instruments],
    cache: Path,
    progress: Progress,
) -> Arrays:
    if is_cached(entry, cache, protocol, digests):
        return read_arrays(entry.path(cache, protocol, digests))
    told = partial(_told, progress, entry)
    arrays = measured_set(entry, protocol, instruments(), None, told)
    write_arrays(entry.path(cache, protocol, digests), arrays)
    return arrays


def _instruments(protocol: Protocol, device: str) -> Instruments:
    from trilemma.features.measure import load_instruments
    from trilemma.runner.devices import pick_device

    return load_instruments(protocol, pick_device(device).type)


def _told(progress: Progress, entry: ReferenceSet, done: int) -> None:
    progress(entry.name, done, entry.images)
