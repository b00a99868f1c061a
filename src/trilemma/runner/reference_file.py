"""A file in the place of real images: their features as ``prepare`` writes them, or statistics as other suites do.

Of features: an ``.npz`` with SET.features (N, D), float16 or float32, for the sets of ``reference_sets``, or SET.rows
(N,), the places of its images among those of the set "floor"; and ``identity``, JSON that says which protocol, data and
networks they are of, and which images each set is. Of statistics: see
``metrics.statistics_file``; images may lie beside them, as in ADM's reference batches.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trilemma.data.array_file import holds_images, open_npz
from trilemma.data.damage import reading
from trilemma.data.of_protocol import find_file
from trilemma.errors import UserError
from trilemma.features import named
from trilemma.identity import file_digest
from trilemma.metrics.statistics_file import FittedGaussian, holds_statistics, read_statistics
from trilemma.protocol import Protocol
from trilemma.runner.reference_sets import reference_sets

SCHEMA = "trilemma.reference/1"
ENDING = ".npz"
INCEPTION_WIDTH = 2048
POOL = "floor"
HELDOUT = "heldout"
_FEATURES, _ROWS = ".features", ".rows"
_LARGEST_HALF = 2.0**14
"""Features beyond it are stored in single precision: float16 ends at 65,504."""


@dataclass(frozen=True, kw_only=True)
class ReferenceFile:
    """What a reference file holds.

    Attributes:
        sets: of whose images it has the features.
        statistics: of the features of the set "reference"; None where the features themselves are there.
        images: how many images lie beside the statistics.
        reader_accuracy: of the reader on held-out images, where there is a reader.
    """

    path: Path
    sets: frozenset[str] = frozenset()
    statistics: FittedGaussian | None = None
    images: int = 0
    reader_accuracy: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def sha256(self) -> str:
        """Of the file's bytes."""
        return file_digest(self.path)

    def features(self, name: str) -> NDArray[np.float32]:
        """Returns the features (N, D) of a set; raises UserError where they are damaged."""
        with reading("reference file", str(self.path)), np.load(self.path, allow_pickle=False) as stored:
            held = f"{name}{_FEATURES}" in stored.files
            features_ND: NDArray[Any] = stored[f"{name if held else POOL}{_FEATURES}"]
            if features_ND.dtype not in (np.float16, np.float32) or features_ND.ndim != 2:
                raise ValueError(f"the features of {name!r} are {features_ND.dtype} {features_ND.shape}")
            if not held:
                features_ND = _chosen(features_ND, stored[f"{name}{_ROWS}"], name)
        single: NDArray[np.float32] = features_ND.astype(np.float32)
        return single


def open_reference(protocol: Protocol, identity: Mapping[str, str]) -> ReferenceFile | None:
    """Returns the file that the protocol names, or None where it names none or there is none.

    Args:
        identity: role → digest of the networks that measure.

    Raises:
        UserError: the file is not the one that is meant, is damaged, or is of other data or networks.
    """
    named_file = protocol.reference.features if protocol.reference is not None else None
    if protocol.reference is None or named_file is None:
        return None
    path = find_file(protocol, named_file, protocol.reference.sha256)
    if path is None:
        return None
    with reading("reference file", str(path)):
        of_statistics = holds_statistics(path)
    return _of_statistics(protocol, path) if of_statistics else _of_features(protocol, identity, path)


def arrays_of(
    protocol: Protocol,
    identity: Mapping[str, str],
    features: Mapping[str, NDArray[Any]],
    rows: Mapping[str, NDArray[np.int64]],
    reader_accuracy: Mapping[str, float],
) -> dict[str, NDArray[Any]]:
    """Returns the arrays of a file, to be written without pickling: by set its features, or its places in the pool."""
    told = {"schema": SCHEMA, "protocol": protocol.name, **_wanted(protocol, identity)}
    told |= {"sets": _images(protocol), "reader_accuracy": dict(reader_accuracy)}
    compact = {f"{name}{_FEATURES}": _compact(array) for name, array in features.items()}
    compact |= {f"{name}{_ROWS}": places_N.astype(np.uint32) for name, places_N in rows.items()}
    return compact | {"identity": np.array(json.dumps(told, sort_keys=True, allow_nan=False))}


def _of_features(protocol: Protocol, identity: Mapping[str, str], path: Path) -> ReferenceFile:
    with reading("reference file", str(path)), np.load(path, allow_pickle=False) as stored:
        told = json.loads(str(stored["identity"].reshape(()))) if "identity" in stored.files else {}
        names = stored.files
    if not isinstance(told, dict) or told.get("schema") != SCHEMA:
        hint = f"Write it: trilemma prepare {protocol.name}."
        raise UserError("this file holds neither reference features nor statistics.", where=str(path), hint=hint)
    hint = f"Write them anew: trilemma prepare {protocol.name}."
    for name, wanted in _wanted(protocol, identity).items():
        if told.get(name) != wanted:
            what = f"these reference features are of another {name}: {told.get(name)!r}, not {wanted!r}."
            raise UserError(what, where=str(path), hint=hint)
    sets = frozenset(name.partition(".")[0] for name in names if name.endswith((_FEATURES, _ROWS)))
    accuracy = _accuracies(told.get("reader_accuracy"), path)
    _check_images(protocol, told, sets | ({HELDOUT} if accuracy else set()), path, hint)
    return ReferenceFile(path=path, sets=sets, reader_accuracy=accuracy)


def _check_images(protocol: Protocol, told: dict[str, Any], held: frozenset[str], path: Path, hint: str) -> None:
    written = told.get("sets")
    for name, wanted in _images(protocol).items():
        if name in held and (not isinstance(written, dict) or written.get(name) != wanted):
            what = f'these reference features are of other images of the set "{name}".'
            raise UserError(what, where=str(path), hint=hint)


def _of_statistics(protocol: Protocol, path: Path) -> ReferenceFile:
    content = read_statistics(path)
    width, own = len(content.features.mean_D), named.distance_name(protocol)
    if own == "fid" and width != INCEPTION_WIDTH:
        raise UserError(f"these statistics are of {width} features; Inception has {INCEPTION_WIDTH}.", where=str(path))
    images = 0
    if holds_images(path):
        beside = open_npz(path)
        images, size = len(beside), beside.size()
        if size != (protocol.resolution, protocol.resolution):
            told = f"{size[1]}x{size[0]}, not {protocol.resolution}x{protocol.resolution}"
            raise UserError(f"the images beside these statistics are {told}.", where=str(path))
    return ReferenceFile(path=path, statistics=content.features, images=images)


def _wanted(protocol: Protocol, identity: Mapping[str, str]) -> dict[str, Any]:
    """What a file has to agree with, whatever sets it holds."""
    return {"data": protocol.data, "resolution": protocol.resolution, "features": identity["features"]}


def _images(protocol: Protocol) -> dict[str, dict[str, Any]]:
    """By set, which images it is; a file may hold other sets than a protocol needs."""
    return {entry.name: entry.images_of() for entry in reference_sets(protocol)}


def _accuracies(told: Any, path: Path) -> dict[str, float]:
    if told is None:
        return {}
    if not isinstance(told, dict) or not all(isinstance(value, float) for value in told.values()):
        raise UserError("the reader's accuracy in this file is no table of numbers.", where=str(path))
    return told


def _chosen(features_ND: NDArray[Any], places_N: NDArray[Any], name: str) -> NDArray[Any]:
    if places_N.dtype != np.uint32 or places_N.ndim != 1 or places_N.max(initial=0) >= len(features_ND):
        raise ValueError(f"the rows of {name!r} are no places among {len(features_ND)}")
    chosen_ND: NDArray[Any] = features_ND[places_N]
    return chosen_ND


def _compact(features_ND: NDArray[Any]) -> NDArray[Any]:
    """Half precision rounds by a two-thousandth of a feature, far below what sampling does to any distance."""
    kind = np.float16 if np.abs(features_ND).max(initial=0.0) < _LARGEST_HALF else np.float32
    return features_ND.astype(kind)
