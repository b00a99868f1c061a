"""Reference statistics on disk: an ``.npz`` of a fitted Gaussian that other suites read, and theirs that we read.

    mu (D,), sigma (D, D)        as pytorch-fid, clean-fid, ADM and torch-fidelity's fork write them; sigma is unbiased
    mu_s (S,), sigma_s (S, S)    of the spatial features, as ADM writes them; absent where there are none
    n                            the number of images; where it is absent the count is unknown, not guessed
    identity                     JSON text: extractor, preprocessing, digest of the source; absent in files of others

Formats: https://github.com/openai/guided-diffusion/tree/main/evaluations and https://github.com/mseitzer/pytorch-fid
Nothing in such a file is ever unpickled.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trilemma.errors import UserError
from trilemma.metrics.moments import Gaussian, Moments

SYMMETRIC = 1e-6
"""Largest asymmetry of a covariance, relative to its largest entry, that float32 arithmetic explains."""


@dataclass(frozen=True, kw_only=True)
class FittedGaussian:
    """Mean (D,) and unbiased covariance (D, D), float64; ``count`` is None where the file does not tell it."""

    count: int | None
    mean_D: NDArray[np.float64]
    covariance_DD: NDArray[np.float64]

    def as_moments(self) -> Moments:
        """Returns moments that merge with others; raises UserError when the count is unknown."""
        if self.count is None:
            raise UserError("Statistics that do not tell their number of images cannot be merged.")
        return Moments(count=self.count, mean_D=self.mean_D, scatter_DD=self.covariance_DD * (self.count - 1))


@dataclass(frozen=True, kw_only=True)
class ReferenceStatistics:
    """The content of one statistics file; ``identity`` is empty where the file comes from elsewhere."""

    features: FittedGaussian
    spatial: FittedGaussian | None = None
    identity: Mapping[str, Any] = field(default_factory=dict)


def fitted(gaussian: Gaussian) -> FittedGaussian:
    """Returns the mean, covariance and count of any fitted Gaussian, moments among them."""
    return FittedGaussian(count=gaussian.count, mean_D=gaussian.mean_D, covariance_DD=gaussian.covariance_DD)


def statistics_arrays(statistics: ReferenceStatistics) -> dict[str, NDArray[Any]]:
    """Returns the arrays of a statistics file, to be written as ``.npz`` without pickling."""
    arrays: dict[str, NDArray[Any]] = {
        "mu": statistics.features.mean_D,
        "sigma": statistics.features.covariance_DD,
        "identity": np.array(json.dumps(dict(statistics.identity), sort_keys=True, allow_nan=False)),
    }
    if statistics.features.count is not None:
        arrays["n"] = np.array(statistics.features.count, dtype=np.int64)
    if statistics.spatial is not None:
        arrays |= {"mu_s": statistics.spatial.mean_D, "sigma_s": statistics.spatial.covariance_DD}
    return arrays


def holds_statistics(path: Path) -> bool:
    """Returns whether a file is an ``.npz`` with the entries mu and sigma: statistics, not images."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return {"mu.npy", "sigma.npy"} <= set(archive.namelist())


def read_statistics(path: Path) -> ReferenceStatistics:
    """Returns the statistics in an ``.npz`` of ours, of ADM or of pytorch-fid.

    Raises:
        UserError: a file that cannot be read, that holds objects, or whose arrays are no mean and covariance.
    """
    arrays = _read_arrays(path)
    if not {"mu", "sigma"} <= set(arrays):
        raise UserError(f"holds no statistics: {_names(arrays)} instead of mu and sigma.", where=str(path))
    count = _count(arrays.get("n"), path)
    spatial = {"mu_s", "sigma_s"} <= set(arrays)
    return ReferenceStatistics(
        features=_gaussian(arrays, "mu", "sigma", count, path),
        spatial=_gaussian(arrays, "mu_s", "sigma_s", count, path) if spatial else None,
        identity=_identity(arrays.get("identity"), path),
    )


def _read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Images that may lie beside the statistics, as in ADM's batches, are not read."""
    wanted = {"mu", "sigma", "mu_s", "sigma_s", "n", "identity"}
    if not path.is_file():
        raise UserError("There is no such file.", where=str(path))
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("it is no archive")
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files if name in wanted}
    # NotImplementedError is what zipfile raises for a compression that it does not know.
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        raise UserError(
            f"is not a readable .npz of arrays ({error}).", where=str(path), hint="Write it with `trilemma stats`."
        ) from None


def _gaussian(
    arrays: Mapping[str, NDArray[Any]], mean: str, covariance: str, count: int | None, path: Path
) -> FittedGaussian:
    mean_D, covariance_DD = (_floats(arrays[name], name, path) for name in (mean, covariance))
    if mean_D.ndim != 1 or covariance_DD.shape != (len(mean_D), len(mean_D)) or len(mean_D) == 0:
        raise UserError(
            f"{mean} {mean_D.shape} and {covariance} {covariance_DD.shape} are no mean and covariance.",
            where=str(path),
        )
    largest = float(np.abs(covariance_DD).max())
    if float(np.abs(covariance_DD - covariance_DD.T).max()) > SYMMETRIC * largest:
        raise UserError(f"{covariance} is not symmetric and so no covariance.", where=str(path))
    if (np.diagonal(covariance_DD) < -SYMMETRIC * largest).any():
        raise UserError(f"{covariance} has negative variances and is no covariance.", where=str(path))
    return FittedGaussian(count=count, mean_D=mean_D, covariance_DD=(covariance_DD + covariance_DD.T) / 2)


def _floats(array: NDArray[Any], name: str, path: Path) -> NDArray[np.float64]:
    if array.dtype.kind not in "fiu":
        raise UserError(f"{name} holds {array.dtype}, not numbers.", where=str(path))
    if not np.isfinite(array).all():
        raise UserError(f"{name} holds entries that are not finite.", where=str(path))
    return array.astype(np.float64)


def _count(array: NDArray[Any] | None, path: Path) -> int | None:
    if array is None:
        return None
    if array.size != 1 or array.dtype.kind not in "iu" or int(array.reshape(())) < 2:
        raise UserError("n must be one whole number of at least 2.", where=str(path))
    return int(array.reshape(()))


def _identity(array: NDArray[Any] | None, path: Path) -> dict[str, Any]:
    if array is None:
        return {}
    try:
        identity = json.loads(str(array.reshape(())))
    except ValueError:
        identity = None
    if not isinstance(identity, dict):
        raise UserError("identity is not the JSON of a table.", where=str(path))
    return identity


def _names(arrays: Mapping[str, NDArray[Any]]) -> str:
    return ", ".join(sorted(arrays)) or "nothing of theirs"
