"""How much identical versions differ, as a file: ``results/calibration/PROTOCOL-HARDWARE.json``."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trilemma.errors import UserError
from trilemma.store.atomic import write_json
from trilemma.strict_toml import build

SCHEMA = "trilemma.calibration/1"
FOLDER = "calibration"
DIGITS = 16
"""So many of the hardware digest stand in the file's name; all of them stand in the file."""
BATCH_FIELDS = ("batch_size", "batch_sizes")


@dataclass(frozen=True, kw_only=True)
class Noise:
    """One series.

    Attributes:
        sigma: the standard deviation of the difference of two identical versions; null where ``reason`` says why.
        pairs: how many differences it was taken over.
        unit: of the difference: "log" for times, else the metric's own.
        method: "processes of separate sessions" or "complete runs".
        batch_size: of timings; null else.
    """

    model: str
    metric: str
    sigma: float | None = None
    pairs: int
    unit: str
    method: str
    batch_size: int | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        if (self.sigma is None) == (self.reason is None):
            raise UserError('needs either "sigma" or a "reason".', where=f"{self.model} {self.metric}")
        if self.sigma is not None and not (math.isfinite(self.sigma) and self.sigma >= 0):
            raise UserError(f"must be a number from 0 up, got {self.sigma}.", where=f"{self.model} {self.metric}")


@dataclass(frozen=True, kw_only=True)
class CalibratedProtocol:
    """The protocol that was calibrated."""

    name: str
    version: int


@dataclass(frozen=True, kw_only=True)
class HardwareClass:
    """The class of machine: the digest of a run's hardware key and its fields."""

    digest: str
    fields: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class CalibratedRun:
    """A run that quality was calibrated with; ``sha256`` is of its ``run.json``."""

    run_id: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What ``calibrate`` measured on one class of machine.

    Attributes:
        created: UTC. tool: version and commit.
        execution: the fields of a run's execution key, but for its batch sizes.
        sessions: timed processes per series.
        load_of_others: how many cores other processes kept busy while one of these ran, at most: above 0.2, sigmas are
            those of a disturbed machine, and margins too wide.
    """

    schema: str
    created: str
    tool: dict[str, Any]
    protocol: CalibratedProtocol
    hardware: HardwareClass
    execution: dict[str, Any]
    sessions: int
    load_of_others: float
    series: tuple[Noise, ...]
    runs: tuple[CalibratedRun, ...] = ()

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise UserError(f'cannot read the schema "{self.schema}", only "{SCHEMA}".')
        names = [(one.model, one.metric) for one in self.series]
        if len(set(names)) != len(names):
            raise UserError("a series stands twice.", where="series")

    def sigma(self, model: str, metric: str) -> float | None:
        """Returns a series' noise, None where it was not measured: there is nothing then to widen a margin by."""
        return next((one.sigma for one in self.series if (one.model, one.metric) == (model, metric)), None)

    def differing(self, execution: Mapping[str, Any]) -> list[str]:
        """Returns in which fields a run's execution differs from the calibrated one: its times have another noise."""
        fields = without_batches(execution)
        return [name for name in {**self.execution, **fields} if self.execution.get(name) != fields.get(name)]


def without_batches(execution: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields of an execution key that a calibration holds: series have batch sizes of their own."""
    return {name: value for name, value in execution.items() if name not in BATCH_FIELDS}


def calibration_path(results: Path, protocol: str, hardware_digest: str) -> Path:
    """Returns where the calibration of a protocol on a class of machine is kept."""
    return results / FOLDER / f"{protocol}-{hardware_digest[:DIGITS]}.json"


def write_calibration(path: Path, calibration: Calibration) -> None:
    """Puts a calibration at ``path``."""
    write_json(path, asdict(calibration))


def read_calibration(path: Path) -> Calibration:
    """Returns a calibration.

    Raises:
        UserError: no such file, not JSON, NaN, an unknown or missing key, a value of another type, another schema.
    """
    try:
        stored = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except FileNotFoundError:
        raise UserError("there is no such calibration.", where=str(path)) from None
    except (OSError, ValueError) as error:
        raise UserError(f"this calibration is damaged: {error}.", where=str(path)) from None
    if not isinstance(stored, dict):
        raise UserError("this calibration is damaged: it is no table.", where=str(path))
    return build(Calibration, _without_nulls(stored), where=str(path))


def find_calibration(results: Path, protocol: str, hardware_digest: str) -> Calibration | None:
    """Returns the calibration of a protocol on a class of machine, None where there is none.

    Args:
        results: the workspace's folder ``results``.

    Raises:
        UserError: the file cannot be read, or it is of another protocol or class of machine than its name says.
    """
    path = calibration_path(results, protocol, hardware_digest)
    if not path.is_file():
        return None
    found = read_calibration(path)
    if (found.protocol.name, found.hardware.digest) != (protocol, hardware_digest):
        raise UserError("this calibration is of another protocol or class of machine.", where=str(path))
    return found


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


def _without_nulls(table: dict[str, Any]) -> dict[str, Any]:
    """A key that is null is one that is absent, in the tables that are ours."""
    series = table.get("series")
    if not isinstance(series, list):
        return table
    kept = [{k: v for k, v in one.items() if v is not None} if isinstance(one, dict) else one for one in series]
    return {**table, "series": kept}
