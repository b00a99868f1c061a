"""How one model differs from others of its run in one metric: by a ratio or a difference, with its standard error.

Rates, times, counts and Fréchet distances are compared as ratios, on the log scale, everything else by its difference.
Numbers that were made of the same samples are paired, image by image. Times are of one process, whose calls share its
memory layout and its hour: their spread is not all of the error, and what another session would differ by is added.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from trilemma.errors import UserError
from trilemma.metrics.catalog import COUNTERS, DISTANCES, METRICS
from trilemma.metrics.margins import GATING
from trilemma.runner.speed import depends_on_machine
from trilemma.statistics.average import average
from trilemma.statistics.estimate import Estimate
from trilemma.statistics.standard_error import StandardError, combined
from trilemma.store.metric_rows import MetricRow
from trilemma.store.run import Run
from trilemma.tracking.pairing import Pairing, difference_of
from trilemma.tracking.series import IDENTITY_PARAMS, differing, machine

SESSION_NOISE = 0.02
"""Standard deviation of the log of a time between sessions of one machine: that of the noisiest class of machine that
docs/regression-tracking.md reckons with."""


class Untestable(Exception):
    """A comparison that cannot be made; the message says why, for people."""


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """A model against others in a metric.

    Attributes:
        value, other: its number and theirs, of several the mean, on the log scale the geometric one.
        effect: value − other; where ``log`` is True, of natural logs. It has no standard error where it is exact.
        exact: whether both sides are counted, not measured.
        paired: whether it was had image by image.
    """

    value: float
    other: float
    effect: Estimate
    log: bool
    exact: bool
    paired: bool


class Contrasts:
    """The contrasts of one run; every file of it is read once."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._pairing = Pairing(run, run)

    def of(self, model: str, others: Sequence[str], metric: str, *, ratio: bool = False) -> Contrast:
        """Returns ``model`` against the mean of ``others``; ``ratio`` asks for the log scale.

        Raises:
            Untestable: a number is missing or withheld, has no error, or was measured in another way than the others.
        """
        own, *theirs = (self._row(name, metric) for name in (model, *others))
        for row in theirs:
            if fields := differing(self._identity(own), self._identity(row)):
                raise Untestable(f"{model} and {row.model} were measured in unlike ways: {'; '.join(fields)}")
        log = ratio or GATING[metric].scale != "difference" or metric in DISTANCES
        try:
            return self._contrast(own, theirs, log=log)
        except UserError as error:  # a damaged file
            raise Untestable(error.what) from None

    def _contrast(self, own: MetricRow, theirs: Sequence[MetricRow], *, log: bool) -> Contrast:
        exact = own.metric in COUNTERS
        sides = [self._pairing.sides(row, own) for row in theirs]
        before = average([_on_scale(side, row, log=log) for (side, _, _), row in zip(sides, theirs, strict=True)])
        after = _on_scale(sides[0][1], own, log=log)
        assert before.value is not None and own.value is not None
        obstacle = next((told for _, _, told in sides if told is not None), None)
        effect, paired, _ = difference_of(before, after, obstacle)
        if effect.value is None or (effect.se is None and not exact):
            raise Untestable(effect.reason or f"the difference of {own.model} has no standard error")
        other = math.exp(before.value) if log else before.value
        return Contrast(value=own.value, other=other, effect=effect, log=log, exact=exact, paired=paired)

    def _row(self, model: str, metric: str) -> MetricRow:
        row = self.run.row(model, metric)
        if row is None:
            raise Untestable(f"{model}: the record holds no such measurement")
        if row.value is None:
            raise Untestable(f"{model}: {row.reason}")
        withheld = self.run.row(model, f"score_{METRICS[metric].axis}")
        if withheld is not None and withheld.status == "withheld":
            raise Untestable(f"{model}: scores are withheld, {withheld.reason}")
        if row.se is None and metric not in COUNTERS:
            raise Untestable(f"{model}: without a standard error nothing can be told")
        return row

    def _identity(self, row: MetricRow) -> dict[str, object]:
        """What two numbers of one run must share: the machine for times, else sizes, extractor and parameters."""
        if depends_on_machine(row.metric):
            fields = machine(self.run, row.model)
            return {name: value for name, value in fields.items() if name.startswith("hardware.")}
        if row.metric in COUNTERS:
            return {}
        fields = {"metric version": row.metric_version, "extractor": row.extractor, "real images": row.n_reference}
        return fields | {"images": row.n} | {name: row.params[name] for name in IDENTITY_PARAMS if name in row.params}


def _on_scale(estimate: Estimate, row: MetricRow, *, log: bool) -> Estimate:
    timed = _between_sessions(estimate, row) if depends_on_machine(row.metric) else estimate
    found = timed.logarithm() if log else timed
    if found.value is None:
        raise Untestable(f"{row.model}: {found.reason}")
    return found


def _between_sessions(estimate: Estimate, row: MetricRow) -> Estimate:
    """Returns a time or a rate with the error of a fresh session; that of its calls is known as they are many."""
    assert estimate.value is not None and estimate.se is not None
    calls = max(2.0, (row.n or 0) / row.params.get("batch_size", 1))
    within = StandardError(se=estimate.se, degrees_of_freedom=calls - 1)
    between = StandardError(se=SESSION_NOISE * estimate.value, degrees_of_freedom=math.inf)
    error = combined([within, between])
    degrees = error.degrees_of_freedom if math.isfinite(error.degrees_of_freedom) else None
    return replace(estimate, se=error.se, degrees_of_freedom=degrees)
