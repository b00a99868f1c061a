"""Reads a run back: everything that reports and comparisons need, and where to find it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trilemma.card import marked
from trilemma.errors import UserError, suggest
from trilemma.store.arrays import read_arrays
from trilemma.store.layout import RunFolder
from trilemma.store.metric_rows import MetricRow, read_metrics
from trilemma.store.record import Record, read_record
from trilemma.store.tables import SAMPLES, TIMINGS, read_frame

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


class Run:
    """One stored run. Every file is read when it is asked for; a damaged one raises UserError."""

    def __init__(self, path: Path) -> None:
        self.folder = RunFolder(path=path)
        self.record: Record = read_record(self.folder.record)

    @property
    def models(self) -> list[str]:
        """The names of the models, in the order in which they ran."""
        return list(self.record.models)

    def label(self, model: str) -> str:
        """Returns a model's name as people see it: one whose weights were drawn is marked."""
        return marked(model, self.record.cards.get(model, {}))

    @cached_property
    def rows(self) -> list[MetricRow]:
        """Every measured number."""
        return read_metrics(self.folder.metrics)

    def row(self, model: str, metric: str) -> MetricRow | None:
        """Returns one number, or None where the run has no such row."""
        return next((row for row in self.rows if row.model == model and row.metric == metric), None)

    def metrics(self) -> pd.DataFrame:
        """Returns one line per number, with the columns of MetricRow."""
        import pandas as pd

        return pd.DataFrame([vars(row) for row in self.rows])

    def table(self) -> pd.DataFrame:
        """Returns values with a line per model and a column per metric; NaN where there is no value."""
        import pandas as pd

        values = {model: {row.metric: row.value for row in self.rows if row.model == model} for model in self.models}
        return pd.DataFrame.from_dict(values, orient="index", dtype=float).rename_axis("model")

    def samples(self, model: str) -> pd.DataFrame:
        """Returns one line per image."""
        return read_frame(self.folder.samples(model), SAMPLES)

    def features(self, model: str) -> dict[str, NDArray[Any]]:
        """Returns the arrays in the order of :meth:`samples`."""
        return read_arrays(self.folder.features(model))

    def timings(self, model: str) -> pd.DataFrame:
        """Returns one line per timed call."""
        return read_frame(self.folder.timings(model), TIMINGS)


def run_ids(runs: Path) -> list[str]:
    """Returns the ids of the runs in a folder, oldest first (an id starts with its time in UTC)."""
    return sorted(path.parent.name for path in runs.glob("*/run.json"))


def find_run(name: str, runs: Path) -> Path:
    """Returns a run's folder by id, by an unambiguous beginning of one, by path, or "latest".

    Raises:
        UserError: there is no such run (it suggests the nearest).
    """
    known = run_ids(runs)
    if name == "latest" and known:
        return runs / known[-1]
    matches = [run_id for run_id in known if run_id == name] or [i for i in known if name and i.startswith(name)]
    if len(matches) == 1:
        return runs / matches[0]
    path = Path(name).expanduser()
    if (path / "run.json").is_file():
        return path
    raise UserError(f'there is no run "{name}" in {runs}.', hint=suggest(name, known[-10:]))
