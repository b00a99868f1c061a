"""Tables from a run's record, keyed by model and metric; the page, the Markdown and the figures all read these."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from trilemma.card import SEPARATOR
from trilemma.report.catalog import AXIS_TITLES, Described, describe, rank
from trilemma.report.numbers import count, quantity, with_error
from trilemma.report.record import error_text
from trilemma.stages import STAGES

if TYPE_CHECKING:
    import pandas as pd

    from trilemma.report.record import Run
    from trilemma.store.metric_rows import MetricRow

AXES = {
    "quality": "score_quality",
    "diversity": "score_diversity",
    "speed": "score_speed",
    "speed_batch1": "score_speed_batch1",
}
SCORE_TITLES = {"quality": "Quality", "diversity": "Diversity", "speed": "Speed", "speed_batch1": "Speed at batch 1"}
ARROWS = {"lower": "↓", "higher": "↑", "none": ""}
STATUS_WORDS = {"withheld": "withheld", "failed": "failed", "skipped": "not measured", "nan": "undefined"}
NOT_MEASURED = "not measured"
OMITTED = ("skipped", "out_of_memory", "void")
"""The status of timings that are in no number."""
NO_ROW = "the record holds no such measurement"
NO_DEFAULT = "Of a sweep only default settings are shown here, and none was among those tried."


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One number as text, or the word that stands for a number that could not be had, with its reason.

    ``note`` numbers the footnote that holds the reason, from 1.
    """

    text: str
    measured: bool
    reason: str = ""
    note: int | None = None
    n: int | None = None


@dataclass(frozen=True, kw_only=True)
class TableRow:
    """One metric over all models; ``n`` is the number of images behind it, as text."""

    described: Described
    set: str
    variant: str
    arrow: str
    unit: str
    n: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class RawTable:
    """Every metric, grouped by axis; ``notes[i]`` is the reason that the cells with note i + 1 share."""

    models: tuple[str, ...]
    groups: tuple[tuple[str, tuple[TableRow, ...]], ...]
    notes: tuple[str, ...]


def is_scored(run: Run) -> bool:
    """Whether the protocol gives scores: of one that only counts there is nothing to draw."""
    return not run.rows or any(row.metric in AXES.values() for row in run.rows)


def scores(run: Run) -> pd.DataFrame:
    """Returns the tidy scores: one row per model and axis, in the order of the run, whether measured or not.

    Columns: model, title, place (see Run.place), control, axis (a key of :data:`AXES`), score in [0, 10] or NaN, se and
    the 95 % interval's ci_low and ci_high (NaN if unknown; they may leave 0 to 10), status ("ok" or the word that
    stands for the number) and reason.
    """
    import pandas as pd

    return pd.DataFrame([_score(run, model, axis) for model in run.models for axis in AXES], columns=_SCORE_COLUMNS)


_SCORE_COLUMNS = (
    "model", "title", "place", "control", "axis", "score", "se", "ci_low", "ci_high", "status", "reason",
)  # fmt: skip


def _score(run: Run, model: str, axis: str) -> dict[str, Any]:
    row = run.find(model, AXES[axis])
    cell = cell_of(run, model, row)
    cell = replace(cell, reason=_why_no_score(run, axis)) if cell.reason == NO_ROW else cell
    low, high = row.ci if row and row.ci else (None, None)
    return {
        "model": model,
        "title": run.title(model),
        "place": run.place(model),
        "control": run.is_control(model),
        "axis": axis,
        "score": _float(row.value if row else None),
        "se": _float(row.se if row else None),
        "ci_low": _float(low),
        "ci_high": _float(high),
        "status": "ok" if cell.measured else cell.text,
        "reason": cell.reason,
    }


def _why_no_score(run: Run, axis: str) -> str:
    if not run.rows:
        return "no number was computed"
    return "the protocol asks for no timing" if axis.startswith("speed") and run.times_nothing else NO_ROW


def _float(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def cell_of(run: Run, model: str, row: MetricRow | None) -> Cell:
    """Returns a measurement as text with its error, or the word and the reason for which there is no number."""
    if row is None:
        failure = run.error(model)
        reason = f"the model failed: {failure.splitlines()[0]}" if failure else NO_ROW
        return Cell(text="failed" if failure else NOT_MEASURED, measured=False, reason=reason)
    if row.value is None:
        return Cell(text=STATUS_WORDS[row.status], measured=False, reason=str(row.reason))
    return Cell(text=quantity(row.value, row.se, row.unit), measured=True, n=row.n)


def raw_table(run: Run) -> RawTable:
    """Returns every measurement but the scores, keyed by metric, set and parameters, one column per model."""
    notes: dict[str, int] = {}
    groups: dict[str, list[TableRow]] = {title: [] for title in AXIS_TITLES.values()}
    keyed = keyed_rows([row for row in run.rows if row.metric not in AXES.values()])
    for key in sorted(keyed, key=lambda key: rank(key[0])):
        row = _table_row(run, key, keyed[key], notes)
        groups[AXIS_TITLES[row.described.axis]].append(row)
    filled = tuple((title, tuple(rows)) for title, rows in groups.items() if rows)
    return RawTable(models=tuple(run.models), groups=filled, notes=tuple(notes))


_RowKey = tuple[str, str, str]


def keyed_rows(rows: Sequence[MetricRow]) -> dict[_RowKey, dict[str, MetricRow]]:
    """Returns rows by (metric, set, variant) and model; the variant tells apart what one model measured twice."""
    seen: set[tuple[str, str, str | None]] = set()
    repeated: set[tuple[str, str | None]] = set()
    for row in rows:
        if (row.model, row.metric, row.set) in seen:
            repeated.add((row.metric, row.set))
        seen.add((row.model, row.metric, row.set))
    readers = _readers(row for row in rows if (row.metric, row.set) in repeated)
    keyed: dict[_RowKey, dict[str, MetricRow]] = {}
    for row in rows:
        several = len(readers.get((row.metric, row.set), ())) > 1
        variant = _variant(row, reader=several) if (row.metric, row.set) in repeated else ""
        keyed.setdefault((row.metric, row.set or "", variant), {})[row.model] = row
    return keyed


def _readers(rows: Iterable[MetricRow]) -> dict[tuple[str, str | None], set[str]]:
    readers: dict[tuple[str, str | None], set[str]] = {}
    for row in rows:
        readers.setdefault((row.metric, row.set), set()).add(row.extractor or "")
    return readers


def _variant(row: MetricRow, *, reader: bool) -> str:
    read_by = [row.extractor] if reader and row.extractor else []
    return ", ".join([*read_by, *(f"{key} {value}" for key, value in sorted(row.params.items()))])


def _table_row(run: Run, key: _RowKey, by_model: dict[str, MetricRow], notes: dict[str, int]) -> TableRow:
    first = next(iter(by_model.values()))
    cells = [noted(cell_of(run, model, by_model.get(model)), notes) for model in run.models]
    return TableRow(
        described=describe(key[0]),
        set=key[1],
        variant=key[2],
        arrow=ARROWS[first.direction],
        unit=_unit(first.unit),
        n=_span([cell.n for cell in cells if cell.n is not None]),
        cells=tuple(cells),
    )


def noted(cell: Cell, notes: dict[str, int]) -> Cell:
    """Returns a cell that, without a number, has one in ``notes``, reason → number; a new reason gets the next."""
    return cell if cell.measured else replace(cell, note=notes.setdefault(cell.reason, len(notes) + 1))


def _unit(unit: str) -> str:
    # A size in bytes carries its unit in the cell; a pure number has none.
    return "" if unit.lower() in {"b", "byte", "bytes", "1", "none"} else unit


def _span(numbers: Sequence[int]) -> str:
    if not numbers:
        return ""
    low, high = min(numbers), max(numbers)
    return count(low) if low == high else f"{count(low)}–{count(high)}"


def shown_models(run: Run) -> list[str]:
    """Returns the models whose costs are drawn: all of them, but of a sweep's many settings the default ones."""
    return [model for model in run.models if not (run.is_sweep and SEPARATOR in model)]


def shown_timings(run: Run) -> pd.DataFrame:
    """Returns the timings of :func:`shown_models`, and those that are of no model: of the reference decoder."""
    hidden = set(run.models) - set(shown_models(run))
    return run.timings[~run.timings["model"].isin(hidden)]


def sweep(run: Run) -> pd.DataFrame:
    """Returns the batch sweep: one row per timed call, models in the order of the run; of settings the default ones.

    Columns: model, place, control, reference (whether it is the frozen decoder), batch_size, images_per_second.
    """
    shown = shown_timings(run)
    wanted = shown["scenario"].isin(["offline", "reference_decoder"]) & (shown["wall_ns"].fillna(0) > 0)
    timed = shown[wanted & (shown["status"] == "ok") & ~shown["stage"].isin(STAGES)]
    models = timed["model"].astype(str)
    frame = timed.assign(
        place=[run.place(model) for model in models],
        control=[run.is_control(model) for model in models],
        reference=timed["scenario"] == "reference_decoder",
        batch_size=timed["batch_size"].astype(int),
        images_per_second=timed["n_images"].astype(float) / (timed["wall_ns"].astype(float) / 1e9),
    )
    rank_of = {model: position for position, model in enumerate(run.models)}
    frame = frame.sort_values("model", key=lambda names: names.map(rank_of), kind="stable")
    return frame[["model", "place", "control", "reference", "batch_size", "images_per_second"]].reset_index(drop=True)


def sweep_medians(frame: pd.DataFrame) -> pd.DataFrame:
    """Returns the median images per second, one row per model, one column per batch size, NaN where not timed.

    The reference decoder is timed beside every model; all its calls together are the row "reference decoder".
    """
    named = frame.assign(model=frame["model"].mask(frame["reference"], "reference decoder"))
    medians = named.groupby(["model", "batch_size"], sort=False)["images_per_second"].median().unstack()
    return medians.reindex(columns=sorted(medians.columns))


def failures(run: Run) -> list[tuple[str, str, str]]:
    """Returns (model, what, error) of all that failed: workers, images, metrics, timings."""
    models = [(model, "the whole worker", error_text(error)) for model, error in run.record.errors.items()]
    metrics = [(row.model, f"metric {row.metric}", str(row.reason)) for row in _failed(run)]
    whole = [("run", "the whole run", error_text(run.record.error))] if run.record.error is not None else []
    return [*whole, *models, *_images(run, filtered=False), *metrics, *_timings(run, status="failed")]


def _failed(run: Run) -> list[MetricRow]:
    """Returns the rows that failed by themselves, not with all of their model."""
    return [row for row in run.rows if row.status == "failed" and row.model not in run.record.errors]


def omissions(run: Run) -> list[tuple[str, str, str]]:
    """Returns (model, what, reason) of every image that was filtered, and every timing left out, too large or void."""
    found = [entry for status in OMITTED for entry in _timings(run, status=status)]
    return list(
        dict.fromkeys([*_images(run, filtered=True), *found])
    )  # of a window that does not count, every call says so


def _images(run: Run, *, filtered: bool) -> list[tuple[str, str, str]]:
    """Returns the images that a model's own filter kept back, or those that failed, alike ones together."""
    samples = run.samples
    bad = samples[samples["status"].notna() & (samples["status"] != "ok")]
    bad = bad[(bad["status"] == "filtered") == filtered]
    told = bad.assign(error=bad["error"].fillna("no reason was recorded"))
    groups = told.groupby(["model", "set", "status", "error"], sort=False).size().reset_index(name="number")
    return [
        (str(row["model"]), f"{count(int(row['number']))} × {row['set']} image ({row['status']})", str(row["error"]))
        for row in groups.to_dict("records")
    ]


def _timings(run: Run, *, status: str) -> list[tuple[str, str, str]]:
    rows = run.timings[run.timings["status"] == status].to_dict("records")
    return [
        (str(row["model"]), f"{row['scenario']} timing at batch {row['batch_size']}", str(row["reason"]))
        for row in rows
    ]


def score_text(row: Mapping[Hashable, Any]) -> str:
    """Returns a row of :func:`scores` as text: the score with its error, or the word for its absence."""
    return with_error(row["score"], row["se"]) if row["status"] == "ok" else str(row["status"])
