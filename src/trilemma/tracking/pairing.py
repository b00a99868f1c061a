"""What two runs keep of their samples, so that a number of one can be paired with that of the other."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING

from trilemma.errors import UserError
from trilemma.runner.per_image import PER_IMAGE
from trilemma.statistics.estimate import Estimate
from trilemma.statistics.paired import paired
from trilemma.statistics.replicates import Replicates
from trilemma.statistics.standard_error import StandardError, combined
from trilemma.store.metric_rows import MetricRow
from trilemma.store.replicates import Sources, stored_replicates
from trilemma.store.run import Run

if TYPE_CHECKING:
    import pandas as pd


class Pairing:
    """Two runs; every file is read once."""

    def __init__(self, a: Run, b: Run) -> None:
        self.a, self.b = a, b
        self._samples = cache(_samples)
        self._replicates = cache(stored_replicates)

    def sides(self, a: MetricRow, b: MetricRow) -> tuple[Estimate, Estimate, str | None]:
        """Returns both numbers, and what keeps them from being paired; None where nothing does."""
        before, after = self._estimate(self.a, a), self._estimate(self.b, b)
        return before, after, self._obstacle(a, b, bool(before.replicates), bool(after.replicates))

    def _estimate(self, run: Run, row: MetricRow) -> Estimate:
        """Of a score, the unclipped one: the clipped ends of the scale would hide what changed."""
        return Estimate(
            value=row.params.get("unclipped", row.value),
            se=row.se,
            se_method=row.se_method or "none",
            n=row.n or 0,
            replicates=self._sources(run, row),
        )

    def _sources(self, run: Run, row: MetricRow) -> Sources:
        if row.metric not in PER_IMAGE:
            return self._replicates(run.folder, row.model).get(row.metric, ())
        samples = self._rows(run, row)
        if samples is None:
            return ()
        return (Replicates(kind="parts", values_U=PER_IMAGE[row.metric](samples, row.params)),)

    def _obstacle(self, a: MetricRow, b: MetricRow, has_a: bool, has_b: bool) -> str | None:
        if not (has_a or has_b or a.metric in PER_IMAGE):
            return None
        rows = [self._rows(run, row) for run, row in ((self.a, a), (self.b, b))]
        for name, has, samples in (("a", has_a, rows[0]), ("b", has_b, rows[1])):
            if samples is None:
                return f"the record of {name} keeps no sample rows"
            if not has:
                return f"the record of {name} keeps nothing to pair this number by"
        before, after = rows
        assert before is not None and after is not None
        if before["key"].tolist() != after["key"].tolist():
            return "the images of the two runs have different keys"
        if before["prompt"].tolist() != after["prompt"].tolist():
            return "the images of the two runs have different prompts"
        return None

    def _rows(self, run: Run, row: MetricRow) -> pd.DataFrame | None:
        """Returns the sample rows that a number is of, or None where the record no longer has them."""
        samples = self._samples(run, row.model)
        return samples if samples is None or row.set is None else samples[samples["set"] == row.set]


def _samples(run: Run, model: str) -> pd.DataFrame | None:
    return run.samples(model) if run.folder.samples(model).is_file() else None


def difference_of(before: Estimate, after: Estimate, obstacle: str | None) -> tuple[Estimate, bool, str | None]:
    """Returns after − before, whether it is paired, and what stood in the way; None where nothing could be paired."""
    if obstacle is None and before.replicates:
        try:
            return paired(before, after), True, None
        except UserError as error:
            obstacle = str(error)
    return _unpaired(before, after), False, None if obstacle is None else f"unpaired: {obstacle}"


def _unpaired(before: Estimate, after: Estimate) -> Estimate:
    assert before.value is not None and after.value is not None
    difference, n = after.value - before.value, min(before.n, after.n)
    if before.se is None or after.se is None:
        return Estimate(value=difference, se=None, se_method="none", n=n)
    error = combined([_error(side, side.se) for side in (before, after) if side.se is not None])
    degrees = error.degrees_of_freedom if math.isfinite(error.degrees_of_freedom) else None
    return Estimate(value=difference, se=error.se, se_method="difference", n=n, degrees_of_freedom=degrees)


def _error(side: Estimate, se: float) -> StandardError:
    """With the degrees of freedom of what it is made of, where the record has kept that."""
    errors = [source.error() for source in side.replicates]
    known = [error for error in errors if error is not None]
    degrees = combined(known).degrees_of_freedom if known else side.degrees_of_freedom or math.inf
    return StandardError(se=se, degrees_of_freedom=degrees)
