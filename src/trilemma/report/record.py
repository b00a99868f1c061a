"""A run as the report sees it: everything that is there, and empty tables for what is not there yet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trilemma.card import RANDOM
from trilemma.protocol import PROMPTED
from trilemma.store.frontier import Frontier, read_frontier
from trilemma.store.layout import RunFolder
from trilemma.store.metric_rows import MetricRow
from trilemma.store.record import Record
from trilemma.store.run import Run as StoredRun
from trilemma.store.tables import SAMPLES, TIMINGS, read_frame

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Run:
    """What the report reads of one run, be it complete or not.

    Attributes:
        record: the contents of ``run.json``.
        rows: every measured number; none before the metrics were computed.
        timings: one row per timed call, with the columns of the store.
        samples: one row per image that was attempted, finished batches of unfinished models included.
        frontier: what a finished sweep found, None for other runs.
    """

    folder: RunFolder
    record: Record
    rows: tuple[MetricRow, ...]
    timings: pd.DataFrame
    samples: pd.DataFrame
    frontier: Frontier | None = None

    @property
    def is_sweep(self) -> bool:
        """Whether the models are settings of a few."""
        return "sweep" in self.record.spec

    @property
    def times_nothing(self) -> bool:
        """Whether the protocol is known to ask for no timing."""
        protocol = self.record.spec.get("protocol")
        if not isinstance(protocol, dict) or "sets" not in protocol:
            return False
        return not protocol.get("speed") and "speed" not in self.record.spec

    @property
    def main_set(self) -> str:
        """The set that stands for a model: influence and suspected copies are of its images."""
        protocol = self.record.spec.get("protocol")
        entries = protocol.get("sets", []) if isinstance(protocol, dict) else []
        names = [str(entry["name"]) for entry in entries]
        return PROMPTED if PROMPTED in names or not names else names[0]

    @property
    def models(self) -> list[str]:
        """All models of the run, contestants first, then the controls."""
        return sorted(self.record.models, key=self.is_control)

    def card(self, model: str) -> dict[str, Any]:
        """Returns the model's card as the run recorded it; {} if it did not."""
        return dict(self.record.cards.get(model, {}))

    def info(self, model: str) -> dict[str, Any]:
        """Returns what the model said of itself once it was loaded; {} if it never was."""
        return dict(self.record.models.get(model, {}).get("info") or {})

    def title(self, model: str) -> str:
        """Returns the model's title, or its name."""
        return str(self.card(model).get("title") or model)

    def is_control(self, model: str) -> bool:
        """Whether the model is a control: a known answer, no contestant."""
        return bool(self.card(model).get("control"))

    def is_random(self, model: str) -> bool:
        """Whether the model's weights were drawn: its times are true, its images are none."""
        return self.card(model).get("weights") == RANDOM

    def place(self, model: str) -> int:
        """Returns the model's place among the contestants, from 0; -1 for a control and for what is no model."""
        contestants = [name for name in self.models if not self.is_control(name)]
        return contestants.index(model) if model in contestants else -1

    def error(self, model: str) -> str | None:
        """Returns the error that ended the model, or None."""
        error = self.record.errors.get(model)
        return error_text(error) if error else None

    def find(self, model: str, metric: str) -> MetricRow | None:
        """Returns the first row of a metric of a model, or None."""
        return next((row for row in self.rows if row.model == model and row.metric == metric), None)


def load(path: Path) -> Run:
    """Returns the record of a run folder; a missing or damaged file that must be there raises UserError."""
    stored = StoredRun(path)
    folder = stored.folder
    return Run(
        folder=folder,
        record=stored.record,
        rows=tuple(stored.rows) if folder.metrics.is_file() else (),
        timings=_frames(sorted((path / "timings").glob("*.parquet")), TIMINGS),
        samples=_frames([path for model in stored.models for path in _samples(folder, model)], SAMPLES),
        frontier=read_frontier(folder.frontier) if folder.frontier.is_file() else None,
    )


def error_text(error: Mapping[str, object]) -> str:
    """Returns an error as text: type and message, what else was recorded, the traceback."""
    head = ": ".join(str(error[key]) for key in ("type", "message") if error.get(key))
    rest = [f"{key}: {value}" for key, value in error.items() if key not in {"type", "message", "traceback"} and value]
    return "\n".join(part for part in [head, *rest, str(error.get("traceback") or "")] if part)


def _samples(folder: RunFolder, model: str) -> list[Path]:
    whole = folder.samples(model)
    return [whole] if whole.is_file() else sorted(folder.parts(model).glob("*.parquet"))


def _frames(paths: list[Path], columns: Mapping[str, str]) -> pd.DataFrame:
    import pandas as pd

    frames = [read_frame(path, columns) for path in paths]
    filled = [frame for frame in frames if not frame.empty]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(columns))
