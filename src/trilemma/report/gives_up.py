"""What each model gives up, in one sentence with the numbers that say so; and what the run as a whole shows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trilemma.report import evidence
from trilemma.report.measures import CORNERS
from trilemma.report.names import LONGEST_REASON, brief
from trilemma.report.numbers import with_error
from trilemma.report.prose import listed, some

if TYPE_CHECKING:
    import pandas as pd

    from trilemma.report.record import Run

# A score of 9 lies within a tenth of the scale from its anchor: real images, the true spread, one decoder pass.
LITTLE = 9.0
_Row = Mapping[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is said of a model: ``text`` follows its name, ``lost`` are the axes that it gives up."""

    model: str
    text: str
    lost: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The whole sentence."""
        return f"{brief(self.model)} {self.text}"


def verdicts(run: Run, scores: pd.DataFrame) -> list[Verdict]:
    """Returns a verdict for every model that is no control, in the order of the run."""
    contestants = scores[~scores["control"].astype(bool)]
    return [verdict(run, str(model), rows) for model, rows in contestants.groupby("model", sort=False)]


def verdict(run: Run, model: str, rows: pd.DataFrame) -> Verdict:
    """Returns what a model gives up, and for what, with the scores and the raw numbers behind them.

    Two scores count as different when their difference exceeds twice its standard error; the axes that cannot be told
    from the lowest one are named together.
    """
    by_axis = {str(row["axis"]): row for row in rows.to_dict("records") if row["axis"] in CORNERS}
    known = {axis: by_axis[axis] for axis in CORNERS if axis in by_axis and by_axis[axis]["status"] == "ok"}
    missing = "; ".join(_missing(axis, by_axis[axis]) for axis in CORNERS if axis in by_axis and axis not in known)
    if not known:
        return Verdict(model=model, text=f"has no scores: {_shared_reason(by_axis, missing).rstrip('.')}.")
    if len(known) < len(CORNERS):
        numbers = listed([f"{axis} {_number(known[axis])}" for axis in known])
        return Verdict(model=model, text=f"cannot be judged without all three scores: {numbers}; {missing}.")
    return _judged(run, model, known)


def headline(run: Run, scores: pd.DataFrame) -> str:
    """Returns who is best at what, in one sentence; "" where fewer than two models have all three scores.

    "" for a sweep as well: many settings of a model are told by its frontier, and no setting is a winner by itself.
    """
    if run.is_sweep:
        return ""
    measured = scores[~scores["control"].astype(bool) & (scores["status"] == "ok") & scores["axis"].isin(CORNERS)]
    whole = [str(model) for model, rows in measured.groupby("model", sort=False) if len(rows) == len(CORNERS)]
    if len(whole) < 2:
        return ""
    rows = measured[measured["model"].isin(whole)].to_dict("records")
    leaders = {axis: _leaders([row for row in rows if row["axis"] == axis]) for axis in CORNERS}
    names = {axis: [str(row["model"]) for row in leaders[axis]] for axis in CORNERS}
    everywhere = [model for model in whole if all(model in names[axis] for axis in CORNERS)]
    if len(everywhere) == len(whole):
        return f"The {some(len(whole), 'model')} cannot be told apart in any of the three scores."
    best = listed([f"{_and(names[axis])} in {axis} ({_scores(leaders[axis])})" for axis in CORNERS])
    if everywhere:
        return f"Of {some(len(whole), 'model')}, {_and(everywhere)} gives up least: best are {best}."
    return f"Of {some(len(whole), 'model')}, none has all three: best are {best}."


def _judged(run: Run, model: str, known: Mapping[str, _Row]) -> Verdict:
    lost = _tied(known, min(known, key=lambda axis: known[axis]["score"]))
    kept = [axis for axis in known if axis not in lost]
    if all(row["score"] >= LITTLE for row in known.values()):
        return Verdict(model=model, text=f"gives up little: {_numbered(list(known), known)} of 10.")
    if not kept:
        text = f"gives up none of the three more than another: {_numbered(list(known), known)} of 10."
        return Verdict(model=model, text=text)
    best = [axis for axis in _tied(known, max(kept, key=lambda axis: known[axis]["score"])) if axis in kept]
    apart = ", which cannot be told apart," if len(lost) > 1 else ""
    short = _told([evidence.against(run, model, axis) for axis in lost])
    instead = _told([evidence.plain(run, model, axis) for axis in best])
    numbers = ", at ".join(listed(found) for found in (short, instead) if found)
    text = f"gives up {_bracketed(lost, known, ' of 10')}{apart} for {_bracketed(best, known)}"
    return Verdict(model=model, text=f"{text}: {numbers}." if numbers else f"{text}.", lost=tuple(lost))


def _tied(known: Mapping[str, _Row], pivot: str) -> list[str]:
    return [axis for axis in known if not _differ(known[axis], known[pivot])]


def _differ(one: _Row, other: _Row) -> bool:
    variances = [row["se"] ** 2 if math.isfinite(row["se"]) else 0.0 for row in (one, other)]
    return bool(abs(one["score"] - other["score"]) > 2 * math.sqrt(sum(variances)))


def _leaders(rows: list[dict[Any, Any]]) -> list[dict[Any, Any]]:
    best = max(rows, key=lambda row: row["score"])
    return [best, *(row for row in rows if row is not best and not _differ(row, best))]


def _and(names: list[str]) -> str:
    shown = [brief(name) for name in (names if len(names) < 4 else names[:2])]
    return listed(shown if len(names) < 4 else [*shown, f"{len(names) - 2} more"])


def _scores(rows: list[dict[Any, Any]]) -> str:
    return listed([_number(row) for row in rows[:2]]) + (", not told apart" if len(rows) > 1 else " of 10")


def _told(parts: list[str]) -> list[str]:
    return [part for part in parts if part]


def _bracketed(axes: list[str], known: Mapping[str, _Row], unit: str = "") -> str:
    return listed([f"{axis} ({_number(known[axis])}{unit})" for axis in axes])


def _numbered(axes: list[str], known: Mapping[str, _Row]) -> str:
    return listed([f"{axis} {_number(known[axis])}" for axis in axes])


def _number(row: _Row) -> str:
    return with_error(row["score"], row["se"])


def _missing(axis: str, row: _Row) -> str:
    return f"{axis} {row['status']} ({brief(row['reason'], LONGEST_REASON)})"


def _shared_reason(by_axis: Mapping[str, _Row], missing: str) -> str:
    reasons = dict.fromkeys((str(row["status"]), str(row["reason"])) for row in by_axis.values())
    if len(reasons) != 1:
        return missing or "none was recorded"
    status, reason = next(iter(reasons))
    cut = brief(reason, LONGEST_REASON)
    return cut if status == "failed" else f"{status}, {cut}"
