"""Every timed call of a run: which ones count, which only warmed up, which are void; and the windows they make."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from trilemma.report import tables
from trilemma.report.numbers import count, with_error
from trilemma.stages import STAGES

if TYPE_CHECKING:
    import pandas as pd

    from trilemma.report.record import Run

WARMUP, COUNTED, VOID = KINDS = ("warm-up", "counted", "void")
DECODER = "reference decoder"
"""Stands among the models: it is timed beside them, and whatever slows the machine down slows it too."""
WINDOWS = {
    "first_call": "first call",
    "single_stream": "one at a time",
    "offline": "batch {size}",
    "reference_decoder": "batch {size}",
    "warmup": "batch {size}, warm-up alone",
}
UNTIMED = {"skipped": "skipped", "out_of_memory": "out of memory", "failed": "failed"}
"""The status of a batch size without times, in words."""
HEADER = (
    "Model", "Window", "Processes", "Warm-up", "Counted", "Void", "Median", "Middle half", "Fastest", "Slowest",
    "Remark",
)  # fmt: skip
CAPTION = (
    "Milliseconds per image, from the prompts to the images on the host. Warm-up: calls at the measured shape before "
    "the clock counts; void: calls that count in no number. The median and the middle half (from the 25th to the 75th "
    "percentile) are of the counted calls, all processes together. The errors of the numbers that are made of these "
    "calls stand among the measurements; all calls are in the run's folder, timings/MODEL.parquet."
)
_COLUMNS = (
    "model", "place", "control", "scenario", "batch_size", "process", "number", "kind", "milliseconds", "reason",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Window:
    """One batch size of one scenario of a model; times are milliseconds per image, None where no call counts.

    Attributes:
        warmup, counted, void: how many calls there are of each kind. processes: that made them.
        lower, upper: 25th and 75th percentile of the counted calls.
        process_medians: the median of each process with counted calls.
        ended: "skipped", "out_of_memory" or "failed" where a process could not time it; else "".
        reasons: why calls are void, or why there are none.
    """

    model: str
    scenario: str
    batch_size: int
    processes: int = 0
    warmup: int = 0
    counted: int = 0
    void: int = 0
    median: float | None = None
    lower: float | None = None
    upper: float | None = None
    fastest: float | None = None
    slowest: float | None = None
    process_medians: tuple[float, ...] = ()
    ended: str = ""
    reasons: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What the window is called, such as ``batch 16``."""
        return WINDOWS.get(self.scenario, f"{self.scenario}, batch {{size}}").format(size=count(self.batch_size))


def calls(run: Run) -> pd.DataFrame:
    """Returns one row per timed call, models in the order of the run, the reference decoder last.

    Columns: model (of the frozen decoder :data:`DECODER`), place and control as of the run, scenario (of a warm-up the
    one that it warms up for), batch_size, process (from 0), number (of the call in its window and process, from 1,
    warm-up included), kind (one of :data:`KINDS`), milliseconds (per image), reason.
    """
    import pandas as pd

    rows = tables.shown_timings(run)
    rows = rows[~rows["stage"].isin(STAGES) & (rows["scenario"] != "load")]
    rows = rows.assign(replicate=rows["replicate"].fillna(0).astype(int), purpose=_purposes(rows))
    whole = rows[(rows["n_images"].fillna(0) > 0) & (rows["wall_ns"].fillna(0) > 0)]
    if whole.empty:
        return pd.DataFrame(columns=list(_COLUMNS))
    purpose = whole["purpose"]
    models = whole["model"].astype(str).mask(purpose == "reference_decoder", DECODER)
    names = list(models.unique())
    frame = pd.DataFrame(
        {
            "model": models,
            "place": models.map({name: run.place(name) for name in names}),
            "control": models.map({name: run.is_control(name) for name in names}),
            "scenario": purpose,
            "batch_size": whole["batch_size"].astype(int),
            "origin": whole["model"],
            "replicate": whole["replicate"],
            "kind": _kinds(whole),
            "milliseconds": whole["wall_ns"].astype(float) / 1e6 / whole["n_images"].astype(float),
            "reason": whole["reason"],
        }
    )
    return _ordered(run, frame)


def windows(run: Run, frame: pd.DataFrame) -> list[Window]:
    """Returns every window of a run, those without times included, in the order of :func:`calls`.

    Args:
        frame: what :func:`calls` returns of it.
    """
    found = [_timed(key, rows) for key, rows in frame.groupby(["model", "scenario", "batch_size"], sort=False)]
    by_key = {(window.model, window.scenario, window.batch_size): window for window in found}
    for key, (status, reason) in _untimed(run).items():
        before = by_key.get(key) or Window(model=key[0], scenario=key[1], batch_size=key[2])
        by_key[key] = _with_end(before, status, reason)
    return sorted(by_key.values(), key=lambda window: _rank(run, window.model, window.scenario, window.batch_size))


def lines(found: Sequence[Window]) -> list[tuple[str, ...]]:
    """Returns a line of texts for each window, as :data:`HEADER` says."""
    return [tuple(_cells(window)) for window in found]


def absence(run: Run) -> str:
    """Returns why a run has no timed calls, in one sentence."""
    if run.times_nothing:
        return f"The protocol {run.record.spec['protocol'].get('name', '(unnamed)')} asks for no timing."
    if run.is_sweep and not tables.shown_models(run):
        return tables.NO_DEFAULT
    if run.record.status in ("started", "cancelled"):
        return "The run had not come to it, or no model got as far."
    return "The record holds no timed call; where timing failed, the reason stands among the failures."


def _purposes(rows: pd.DataFrame) -> pd.Series[str]:
    """Returns each row's scenario; of a warm-up that of what follows it in its process, be it without times."""
    known = rows["scenario"].mask(rows["scenario"] == "warmup")
    purposes: pd.Series[str] = known.groupby([rows["model"], rows["replicate"].fillna(0)], sort=False).bfill()
    return purposes.fillna("warmup")


def _kinds(whole: pd.DataFrame) -> pd.Series[str]:
    kinds = whole["status"].map(lambda status: VOID if status == "void" else COUNTED)
    return kinds.mask(whole["scenario"] == "warmup", WARMUP)


def _ordered(run: Run, frame: pd.DataFrame) -> pd.DataFrame:
    """Sorts the calls by window and process, and numbers both."""
    keys = list(zip(frame["model"], frame["scenario"], frame["batch_size"], strict=True))
    places = {key: place for place, key in enumerate(sorted(set(keys), key=lambda key: _rank(run, *key)))}
    # The decoder's processes are those of the models that it was timed beside.
    parts = frame.groupby(["origin", "replicate"], sort=False).ngroup()
    frame = frame.assign(rank=[places[key] for key in keys], part=parts).sort_values(["rank", "part"], kind="stable")
    frame["process"] = frame.groupby("model")["part"].rank("dense").astype(int) - 1
    frame["number"] = frame.groupby(["model", "scenario", "batch_size", "process"]).cumcount() + 1
    return frame[list(_COLUMNS)].reset_index(drop=True)


def _rank(run: Run, model: str, scenario: str, size: int) -> tuple[int, int, int]:
    scenarios, models = list(WINDOWS), run.models
    of_model = models.index(model) if model in models else len(models)
    return of_model, scenarios.index(scenario) if scenario in scenarios else len(scenarios), int(size)


def _timed(key: Any, found: pd.DataFrame) -> Window:
    model, scenario, size = key
    numbers = found["kind"].value_counts()
    counted = found[found["kind"] == COUNTED]
    lower, median, upper = counted["milliseconds"].quantile([0.25, 0.5, 0.75]) if len(counted) else (None, None, None)
    return Window(
        model=str(model),
        scenario=str(scenario),
        batch_size=int(size),
        processes=int(found["process"].nunique()),
        warmup=int(numbers.get(WARMUP, 0)),
        counted=len(counted),
        void=int(numbers.get(VOID, 0)),
        median=median,
        lower=lower,
        upper=upper,
        fastest=float(counted["milliseconds"].min()) if len(counted) else None,
        slowest=float(counted["milliseconds"].max()) if len(counted) else None,
        process_medians=tuple(map(float, counted.groupby("process")["milliseconds"].median())),
        reasons=tuple(dict.fromkeys(f"void: {reason}" for reason in found["reason"].dropna())),
    )


_Key = tuple[str, str, int]


def _untimed(run: Run) -> dict[_Key, tuple[str, str]]:
    """Returns status and reason of every window that a process could not time; of several the first."""
    shown = tables.shown_timings(run)
    found: dict[_Key, tuple[str, str]] = {}
    for row in shown[shown["status"].isin(UNTIMED)].dropna(subset=["batch_size"]).to_dict("records"):
        model = DECODER if row["scenario"] == "reference_decoder" else str(row["model"])
        key = (model, str(row["scenario"]), int(row["batch_size"]))
        found.setdefault(key, (str(row["status"]), str(row["reason"])))
    return found


def _with_end(window: Window, status: str, reason: str) -> Window:
    return replace(window, ended=status, reasons=(*window.reasons, f"{UNTIMED[status]}: {reason}"))


def _cells(window: Window) -> Iterator[str]:
    yield from (window.model, window.title)
    yield from map(count, (window.processes, window.warmup, window.counted, window.void))
    if window.median is None or window.lower is None or window.upper is None:
        yield from (tables.NOT_MEASURED, "", "", "")
    else:
        yield with_error(window.median)
        yield f"{with_error(window.lower)} to {with_error(window.upper)}"
        yield from (with_error(window.fastest or 0.0), with_error(window.slowest or 0.0))
    yield "; ".join(window.reasons)
