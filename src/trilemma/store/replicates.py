"""The replicates of one model's numbers, in one ``.npz`` that numpy alone reads.

A number's independent sources of error are METRIC.0, METRIC.1, …; source METRIC.I has the array METRIC.I.KIND, a value
for each unit, METRIC.I.halves where influence values have halves, and METRIC.I.cut, which names how samples were dealt.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trilemma.statistics.replicates import UNITS, Kind, Replicates
from trilemma.store.arrays import read_arrays
from trilemma.store.atomic import write_arrays
from trilemma.store.layout import RunFolder

Sources = tuple[Replicates, ...]


def write_replicates(path: Path, numbers: Mapping[str, Sources]) -> None:
    """Puts the replicates of every number at ``path``, by metric."""
    arrays: dict[str, NDArray[Any]] = {}
    for metric, sources in numbers.items():
        for index, source in enumerate(sources):
            arrays |= {f"{metric}.{index}.{name}": array for name, array in _arrays(source).items()}
    write_arrays(path, arrays)


def read_replicates(path: Path) -> dict[str, Sources]:
    """Returns the replicates by metric.

    Raises:
        UserError: there is no such file, or it cannot be read.
    """
    by_source: dict[tuple[str, int], dict[str, NDArray[Any]]] = {}
    for key, array in read_arrays(path).items():
        metric, index, name = key.split(".")
        by_source.setdefault((metric, int(index)), {})[name] = array
    found: dict[str, Sources] = {}
    for (metric, _), arrays in sorted(by_source.items(), key=lambda item: item[0]):
        found[metric] = (*found.get(metric, ()), _source(arrays))
    return found


def stored_replicates(folder: RunFolder, model: str) -> dict[str, Sources]:
    """Returns what a run keeps of a model by metric; older runs keep influence values alone, without halves."""
    path, older = folder.replicates(model), folder.influence(model)
    if path.is_file():
        return read_replicates(path)
    if older.is_file():
        return {name: (Replicates(kind="influence", values_U=psi_N),) for name, psi_N in read_arrays(older).items()}
    return {}


def _arrays(source: Replicates) -> dict[str, NDArray[Any]]:
    """Influence values, of which there is one for every image, are kept in single precision."""
    precision = np.float32 if source.kind == "influence" else np.float64
    arrays: dict[str, NDArray[Any]] = {source.kind: source.values_U.astype(precision), "cut": np.array(source.cut)}
    return arrays if source.halves_U is None else arrays | {"halves": source.halves_U.astype(precision)}


def _source(arrays: Mapping[str, NDArray[Any]]) -> Replicates:
    kind: Kind = next(kind for kind in UNITS if kind in arrays)
    halves = arrays.get("halves")
    return Replicates(
        kind=kind,
        values_U=arrays[kind].astype(np.float64),
        halves_U=None if halves is None else halves.astype(np.float64),
        cut=str(arrays["cut"]),
    )
