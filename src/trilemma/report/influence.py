"""Which images moved a number most: each one's influence on it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trilemma.errors import UserError
from trilemma.metrics.catalog import DISTANCES
from trilemma.report.catalog import describe
from trilemma.report.tables import AXES
from trilemma.store.replicates import stored_replicates

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trilemma.report.record import Run

# Of these, the first that the run holds influence values of: the score of quality, else the distance behind it.
METRICS = ("score_quality", *DISTANCES)


@dataclass(frozen=True, kw_only=True)
class Influence:
    """By how much each image of a set moved a number, to first order: its influence value over their number.

    Attributes:
        title: of the number, as it stands in a sentence.
        unit: "points" of a score, "" of a distance.
        by_model: for each model the values, float64 (N,), in the order of the sample rows; they add up to 0.
    """

    title: str
    unit: str
    by_model: dict[str, NDArray[np.float64]]

    @property
    def decimals(self) -> int:
        """After how many decimals the largest value has three digits."""
        largest = max(float(np.abs(values).max(initial=0)) for values in self.by_model.values())
        return max(0, 2 - math.floor(math.log10(largest))) if largest > 0 else 0


def influence(run: Run) -> Influence | None:
    """Returns the influence values of a run, all of one metric; None where it keeps none."""
    stored = {model: _stored(run, model) for model in run.models}
    for metric in METRICS:
        found = {model: values[metric] for model, values in stored.items() if metric in values}
        if found:
            return _named(metric, found)
    return None


def _named(metric: str, by_model: dict[str, NDArray[np.float64]]) -> Influence:
    title = describe(metric).title
    if metric in AXES.values():
        return Influence(title=f"{title.lower()} score", unit="points", by_model=by_model)
    return Influence(title=title, unit="", by_model=by_model)


def _stored(run: Run, model: str) -> dict[str, NDArray[np.float64]]:
    try:
        sources = stored_replicates(run.folder, model)
    except UserError:  # comparisons refuse a damaged file; a report shows what else there is
        return {}
    firsts = {metric: found[0] for metric, found in sources.items() if found}
    return {m: one.values_U / len(one.values_U) for m, one in firsts.items() if one.kind == "influence"}
