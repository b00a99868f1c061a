"""The verdict on every series of two sides: comparable? valid? equal? and only then statistics.

The order is that of docs/regression-tracking.md: what cannot be compared or relied on is told before anything is
tested, and what is equal byte by byte needs no test.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from trilemma.metrics.catalog import METRICS
from trilemma.metrics.margins import GATING
from trilemma.protocol import Gate
from trilemma.runner.speed import depends_on_machine
from trilemma.statistics.contrasts import Contrast, positive_logs, sessions
from trilemma.statistics.counters import Worse, compare_counters
from trilemma.statistics.decision import Decision, Test, decide
from trilemma.statistics.margins import Margin
from trilemma.store.metric_rows import MetricRow
from trilemma.store.run import Run
from trilemma.tracking.calibration import Calibration
from trilemma.tracking.images import Images
from trilemma.tracking.judged import MESSAGES, Judged, MarginFrom
from trilemma.tracking.pairing import Pairing, difference_of
from trilemma.tracking.series import arithmetic, differing, measurement, plan

Told = tuple[Run, MetricRow]

IMAGES = "images"
"""The series of a model's images themselves."""
SAME_VALUE = 1e-6
"""Relative: threads add in another order. What measures equal images is equal beyond that."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What is gated, and by how much a series may differ; a calibration widens margins."""

    gate: Gate
    calibration: Calibration | None = None

    def margin(self, run: Run, row: MetricRow) -> tuple[Margin, MarginFrom]:
        """Returns a series' margin and where it came from, but for the noise: that is calibrated."""
        margin, sigma = self.uncalibrated(row.metric), self._sigma(run, row)
        return replace(margin, noise=sigma or 0.0), "protocol" if row.metric in self.gate.margins else "default"

    def uncalibrated(self, metric: str) -> Margin:
        """Returns the protocol's own margin of a metric, else the suite's."""
        own = self.gate.margins.get(metric)
        return GATING[metric].margin if own is None else Margin(relative=own.relative, absolute=own.absolute)

    def _sigma(self, run: Run, row: MetricRow) -> float | None:
        """The noise of identical versions, where it was measured on this class of machine and in this way."""
        if self.calibration is None:
            return None
        keys = run.record.keys.get(row.model, {})
        alike = keys.get("hardware", {}).get("digest") == self.calibration.hardware.digest
        if not alike or self.calibration.differing(keys.get("execution", {}).get("fields", {})):
            return None
        return self.calibration.sigma(row.model, row.metric)


@dataclass(frozen=True, kw_only=True)
class Open:
    """A series that statistics must decide."""

    judged: Judged
    test: Test


def judge(
    baseline: Sequence[Run], candidate: Sequence[Run], rules: Rules, models: Sequence[str] | None = None
) -> list[Judged]:
    """Returns every series that either side has, in the candidate's order.

    Args:
        baseline, candidate: runs; the first of each is judged for quality, all of them are sessions for times.
        models: those that are judged, and that owe a value of everything that is gated; None means all that either side
            has, in what either side has measured.
    """
    return _Judge(tuple(baseline), tuple(candidate), rules).series(models)


class _Judge:
    def __init__(self, baseline: tuple[Run, ...], candidate: tuple[Run, ...], rules: Rules) -> None:
        self.baselines, self.candidates, self.rules = baseline, candidate, rules
        self.baseline, self.candidate = baseline[0], candidate[0]
        self.images = Images(self.baseline, self.candidate)
        self.pairing = Pairing(self.baseline, self.candidate)

    def series(self, models: Sequence[str] | None) -> list[Judged]:
        known = dict.fromkeys([*self.baseline.models, *self.candidate.models])
        chosen = list(known) if models is None else list(models)
        owed = () if models is None else self.rules.gate.metrics
        found = [one for model in chosen for one in self._of_model(model, owed)]
        return _decided(found)

    def _of_model(self, model: str, owed: Sequence[str]) -> Iterator[Judged | Open]:
        before, after = (_rows(run, model) for run in (self.baseline, self.candidate))
        if self.rules.gate.exact_images:
            yield self._exact_images(model)
        for metric in dict.fromkeys([*before, *after, *owed]):
            if metric in GATING:
                yield self._of_metric(model, metric, before.get(metric, []), after.get(metric, []))

    def _of_metric(self, model: str, metric: str, before: list[MetricRow], after: list[MetricRow]) -> Judged | Open:
        blank = Judged(
            model=model,
            metric=metric,
            gated=self._gated(model, metric, before),
            decision=Decision(verdict="INVALID", reason="duplicate_rows"),
            message="",
            baseline=before[0].value if before else None,
            candidate=after[0].value if after else None,
            unit=next((row.unit for row in (*after, *before)), METRICS[metric].unit),
        )
        if max(len(before), len(after)) > 1:
            return _settled(blank, "INVALID", "duplicate_rows")
        if not before or before[0].value is None:
            return _without_baseline(blank, before, after)
        if not after or after[0].value is None:
            return _without_candidate(blank, after)
        return self._of_values(blank, before[0], after[0])

    def _gated(self, model: str, metric: str, before: list[MetricRow]) -> bool:
        """What the baseline could not measure either, and how fast a control is, is nobody's regression."""
        if metric not in self.rules.gate.metrics:
            return False
        control = self.candidate.record.cards.get(model, {}).get("control", False)
        unmeasured = len(before) == 1 and before[0].value is None
        return not unmeasured and not (control and depends_on_machine(metric))

    def _of_values(self, blank: Judged, before: MetricRow, after: MetricRow) -> Judged | Open:
        scale = GATING[before.metric].scale
        if depends_on_machine(before.metric) and scale != "counter":
            return self._of_sessions(blank, before, log=scale == "log_ratio")
        fields = differing(measurement(self.baseline, before), measurement(self.candidate, after))
        if fields:
            return _settled(blank, "INCOMPARABLE", "identity_differs", "; ".join(fields))
        if scale == "counter":
            return _counted(blank, before, after, self.rules.margin(self.candidate, after)[0])
        return self._of_images(blank, before, after)

    def _of_images(self, blank: Judged, before: MetricRow, after: MetricRow) -> Judged | Open:
        obstacle = self.images.obstacle(blank.model)
        if obstacle is not None:
            return _settled(blank, "INVALID", obstacle.reason, obstacle.message)
        agreement = self.images.agreement(blank.model, before.set)
        if agreement is not None and agreement.complete:
            return _of_same_images(blank)
        estimate, paired, obstacle_to_pairs = difference_of(*self.pairing.sides(before, after))
        contrast = Contrast(
            difference=math.nan if estimate.value is None else estimate.value,
            se=estimate.se,
            degrees_of_freedom=estimate.degrees_of_freedom,
        )
        margin, source = self.rules.margin(self.candidate, after)
        judged = replace(blank, pairing="paired" if paired else "unpaired", message=obstacle_to_pairs or "")
        return _tested(judged, contrast, margin, source)

    def _of_sessions(self, blank: Judged, before: MetricRow, *, log: bool) -> Judged | Open:
        """A baseline's session without a value is none; a candidate's says that something is wrong with it."""
        found, sought = (
            [(run, _rows(run, blank.model).get(blank.metric, [])) for run in runs]
            for runs in (self.baselines, self.candidates)
        )
        if any(len(rows) > 1 for _, rows in (*found, *sought)):
            return _settled(blank, "INVALID", "duplicate_rows")
        absent = next((rows for _, rows in sought if not rows or rows[0].value is None), None)
        if absent is not None:
            return _without_candidate(blank, absent)
        told = [(run, rows[0]) for run, rows in sought]
        earlier = [(run, rows[0]) for run, rows in found if rows and rows[0].value is not None]
        return self._of_told_sessions(blank, earlier, told, log=log)

    def _of_told_sessions(self, blank: Judged, earlier: list[Told], told: list[Told], *, log: bool) -> Judged | Open:
        own = measurement(*told[0])
        fields = [differing(measurement(run, row), own) for run, row in earlier]
        odd = next((found for run, row in told if (found := differing(measurement(run, row), own))), None)
        if odd is not None or all(fields):
            return _settled(blank, "INCOMPARABLE", "identity_differs", "; ".join(odd or fields[0]))
        alike = [pair for pair, found in zip(earlier, fields, strict=True) if not found]
        sides = [[_number(row) for _, row in side] for side in (alike, told)]
        values = [positive_logs(side) if log else np.asarray(side) for side in sides]
        margin, source = self.rules.margin(self.candidate, told[0][1])
        means = [float(np.exp(side.mean()) if log else side.mean()) for side in values]
        judged = replace(blank, baseline=means[0], candidate=means[1], log=log, pairing="sessions")
        return _tested(judged, sessions(*values), margin, source)

    def _exact_images(self, model: str) -> Judged:
        blank = Judged(
            model=model, metric=IMAGES, gated=True, decision=Decision(verdict="MISSING", reason=""), message=""
        )
        obstacle = self.images.obstacle(model)
        agreement = self.images.agreement(model, None)
        if agreement is None:
            return _settled(blank, "MISSING", "no_samples", "a record keeps no sample rows")
        blank = replace(blank, baseline=float(agreement.total), candidate=float(agreement.same), unit="images")
        if fields := differing(plan(self.baseline), plan(self.candidate)):
            return _settled(blank, "INCOMPARABLE", "identity_differs", "; ".join(fields))
        if obstacle is not None:
            return _settled(blank, "INVALID", obstacle.reason, obstacle.message)
        if agreement.complete:
            return _settled(blank, "EXACT_SAME", "identical_images")
        fields = differing(arithmetic(self.baseline, model), arithmetic(self.candidate, model))
        told = f"{agreement.total - agreement.same:,} of {agreement.total:,} images differ"
        if fields:
            return _settled(blank, "INCOMPARABLE", "arithmetic_differs", f"{told}; so do {'; '.join(fields)}")
        return _settled(blank, "REGRESSED", "images_differ", f"{told}, and should not")


def _rows(run: Run, model: str) -> dict[str, list[MetricRow]]:
    found: dict[str, list[MetricRow]] = {}
    for row in run.rows:
        if row.model == model:
            found.setdefault(row.metric, []).append(row)
    return found


def _number(row: MetricRow) -> float:
    assert row.value is not None
    return row.value


def _finite(value: float | None) -> float | None:
    """What is shown is shown in JSON, too, which has neither NaN nor infinity."""
    return value if value is not None and math.isfinite(value) else None


def _settled(judged: Judged, verdict: str, reason: str, message: str | None = None) -> Judged:
    decision = Decision(verdict=verdict, reason=reason)  # type: ignore[arg-type]
    return replace(judged, decision=decision, message=MESSAGES.get(reason, "") if message is None else message)


def _without_baseline(judged: Judged, before: list[MetricRow], after: list[MetricRow]) -> Judged:
    if after and after[0].value is not None:
        return _settled(judged, "NEW", "no_baseline_value")
    reason = next((f": {row.reason}" for row in (*after, *before)), "")
    return _settled(judged, "MISSING", "no_value", f"neither side has a value{reason}")


def _without_candidate(judged: Judged, after: list[MetricRow]) -> Judged:
    if not after:
        return _settled(judged, "MISSING", "no_candidate_value")
    row = after[0]
    verdict = "INVALID" if row.status in ("nan", "withheld") else "MISSING"
    return _settled(judged, verdict, f"status_{row.status}", row.reason)


def _of_same_images(judged: Judged) -> Judged:
    assert judged.baseline is not None and judged.candidate is not None
    if math.isclose(judged.baseline, judged.candidate, rel_tol=SAME_VALUE, abs_tol=SAME_VALUE):
        return _settled(judged, "EXACT_SAME", "identical_images")
    return _settled(judged, "INVALID", "same_images_other_value")


def _counted(judged: Judged, before: MetricRow, after: MetricRow, margin: Margin) -> Judged:
    assert before.value is not None and after.value is not None
    if after.params.get("kind") == "resident":
        return _settled(judged, "INCONCLUSIVE", "resident_memory")
    worse: dict[str, Worse] = {"lower": "larger", "higher": "smaller", "none": "any"}
    decision = compare_counters(
        before.value, after.value, worse=worse[METRICS[before.metric].direction], tolerance=margin.relative
    )
    difference = after.value - before.value
    return replace(judged, difference=difference, decision=decision, message=MESSAGES[decision.reason])


def _tested(judged: Judged, contrast: Contrast, margin: Margin, source: MarginFrom) -> Open:
    direction = METRICS[judged.metric].direction
    assert judged.baseline is not None and direction != "none"
    usable = math.isfinite(judged.baseline) and (not judged.log or judged.baseline > 0)
    size = (margin.of_log if judged.log else margin.of)(judged.baseline) if usable else math.nan
    test = Test.of_contrast(contrast, size, better=direction)
    part = margin.largest(judged.baseline, log=judged.log) if usable else None
    shown = replace(
        judged,
        difference=_finite(contrast.difference),
        worse=_finite(test.worse),
        se=_finite(contrast.se),
        degrees_of_freedom=_finite(contrast.degrees_of_freedom),
        margin=size if usable else None,
        margin_part=part,
        margin_from="calibrated" if part == "noise" and margin.noise > 0 else source,
    )
    return Open(judged=shown, test=test)


def _decided(found: Sequence[Judged | Open]) -> list[Judged]:
    """Gated series are one family; every other series is judged by itself, and counts for nothing."""
    family = [one for one in found if isinstance(one, Open) and one.judged.gated]
    decisions = dict(zip(map(id, family), decide([one.test for one in family]), strict=True))
    return [
        one if isinstance(one, Judged) else _with(one.judged, decisions.get(id(one)) or decide([one.test])[0])
        for one in found
    ]


def _with(judged: Judged, decision: Decision) -> Judged:
    sentence = MESSAGES[decision.reason]
    return replace(judged, decision=decision, message=f"{sentence}; {judged.message}" if judged.message else sentence)
