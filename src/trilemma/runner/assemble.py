"""One model's metric rows: its numbers, its scores, and for what could not be had the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from trilemma import __version__
from trilemma.identity import digest
from trilemma.metrics.catalog import COUNTERS, METRICS, Metric
from trilemma.metrics.modes import expected_tv, mode_score
from trilemma.metrics.scores import Score, diversity_score, quality_score, speed_score, withhold_if_copying
from trilemma.protocol import Protocol
from trilemma.runner.anchors import Anchors
from trilemma.runner.evaluate import Evaluation, Measured, evaluate, split_sets
from trilemma.runner.job import REFERENCE
from trilemma.runner.per_image import PER_IMAGE
from trilemma.runner.speed import best_batch, depends_on_machine, latency, speed_numbers
from trilemma.statistics.estimate import Estimate, missing
from trilemma.store.events import now
from trilemma.store.metric_rows import MetricRow
from trilemma.store.replicates import write_replicates
from trilemma.store.run import Run
from trilemma.timing.reference_decoder import SCENARIO

LEVEL = 0.95
BY_NETWORKS = ("score_quality", "score_diversity")
# The catalogue's roles, in the words of a protocol's [extractors].
ROLES = {"features": "features", "factors": "reader", "clip": "clip", "inception": "inception"}
TIMED = tuple(name for name in METRICS if depends_on_machine(name))


@dataclass(frozen=True, kw_only=True)
class Assembler:
    """Turns what a run stored into metric rows; without anchors nothing is measured on the images."""

    run: Run
    protocol: Protocol
    anchors: Anchors | None

    def rows(self, model: str) -> list[MetricRow]:
        """Returns one row for each metric of the protocol, for each counter, and for what it times and scores."""
        error = self.run.record.errors.get(model)
        if error is not None:
            reason = f"the model failed: {error['type']}: {error['message']}"
            numbers = {name: Measured(estimate=missing(reason, n=0, status="failed")) for name in self.names}
        else:
            numbers = self._numbers(model)
        return [self._row(model, METRICS[name], numbers.get(name, _no_set(METRICS[name]))) for name in self.names]

    @property
    def names(self) -> list[str]:
        """The metrics of this protocol, in the catalogue's order."""
        wanted = {*self.protocol.metrics, *COUNTERS}
        wanted |= {*BY_NETWORKS} if self.anchors is not None else set()
        wanted |= {*TIMED} if self.protocol.speed is not None else set()
        return [name for name in METRICS if name in wanted]

    def _numbers(self, model: str) -> dict[str, Measured]:
        found, numbers = Evaluation(), self._counted(model)
        if self.anchors is not None:
            found = evaluate(split_sets(self.run.samples(model), self.run.features(model)), self.anchors)
            numbers |= found.numbers
            numbers |= {"score_quality": self._quality(found, self.anchors), "score_diversity": self._diversity(found)}
            self._keep_replicates(model, numbers)
        if self.protocol.speed is not None:
            numbers |= {**speed_numbers(self.run.timings(model)), **self._speed(model, found)}
        return numbers

    def _keep_replicates(self, model: str, numbers: Mapping[str, Measured]) -> None:
        """What every image has for itself is in the sample rows already."""
        sources = {name: one.estimate.replicates for name, one in numbers.items() if name not in PER_IMAGE}
        write_replicates(self.run.folder.replicates(model), sources)

    def _counted(self, model: str) -> dict[str, Measured]:
        said = self.run.record.models[model]
        evaluations = self.run.samples(model)["evaluations"].to_numpy()
        return {
            "evaluations_per_image": Measured(estimate=_exact(float(evaluations.mean()), len(evaluations))),
            "parameters": Measured(estimate=_exact(float(said["info"]["parameters"]), 1)),
            "flops_per_image": _flops(said["flops"]),
        }

    def _quality(self, found: Evaluation, anchors: Anchors) -> Measured:
        if "fd_scenes" not in found.numbers:
            return Measured(estimate=missing("the protocol has no prompted images", n=0))
        distance = found.numbers["fd_scenes"].estimate
        reduced, floor = anchors.reduced(distance.n), anchors.floor(distance.n)
        score = quality_score(distance, reduced, floor)
        return _shown(_unless_copying(score, found), {"reduced": reduced.value, "real": floor.value})

    def _diversity(self, found: Evaluation) -> Measured:
        numbers = found.numbers
        if "mode_tv" not in numbers or "within_prompt_spread" not in numbers:
            return Measured(estimate=missing("the protocol lacks images without prompts or within prompts", n=0))
        tv, spread = numbers["mode_tv"].estimate, numbers["within_prompt_spread"].estimate
        modes = tv if tv.value is None else mode_score(tv, expected_tv(tv.n))
        score = diversity_score(modes, spread)
        return _shown(_unless_copying(score, found), {"modes": modes.value, "within_prompts": spread.value})

    def _speed(self, model: str, found: Evaluation) -> dict[str, Measured]:
        timings = self.run.timings(model)
        own, unit = best_batch(timings, "offline"), best_batch(self.run.timings(REFERENCE), SCENARIO)
        nothing = missing("was not timed", n=0)
        reference = unit.seconds_per_image if unit is not None else nothing
        seconds = {
            "score_speed": own.seconds_per_image if own is not None else nothing,
            "score_speed_batch1": latency(timings),
        }
        params = {"reference_seconds": reference.value}
        return {
            name: _shown(_unless_copying(speed_score(each, reference), found), params) for name, each in seconds.items()
        }

    def _row(self, model: str, metric: Metric, measured: Measured) -> MetricRow:
        estimate = measured.estimate
        interval = measured.params.get("interval") if metric.axis == "score" else estimate.interval(LEVEL)
        return MetricRow(
            run_id=self.run.record.run_id,
            model=model,
            metric=metric.name,
            set=metric.set,
            metric_version=metric.version,
            series=self._series(model, metric),
            extractor=self._extractor(metric),
            value=estimate.value,
            unit=metric.unit,
            direction=metric.direction,
            n=estimate.n,
            n_reference=measured.n_reference,
            se=estimate.se,
            se_method=estimate.se_method,
            ci=interval,
            ci_level=LEVEL,
            computed_at=now(),
            tool_version=__version__,
            status=estimate.status,
            reason=estimate.reason,
            params={name: value for name, value in measured.params.items() if name != "interval"},
        )

    def _series(self, model: str, metric: Metric) -> str:
        """Quality belongs to the case alone; speed to case, execution and hardware together."""
        keys = self.run.record.keys.get(model, {})
        names = ("case", "execution", "hardware") if depends_on_machine(metric.name) else ("case",)
        return digest([metric.name, *[keys.get(name, {}).get("digest") for name in names]])

    def _extractor(self, metric: Metric) -> str | None:
        role = ROLES.get(metric.extractor or "")
        found = self.run.record.instruments.get(role) if role is not None else None
        return f"{role}:{found[:16]}" if found is not None else None


def assemble(run: Run, protocol: Protocol, anchors: Anchors | None, after_each: Callable[[], None]) -> list[MetricRow]:
    """Returns the metric rows of every model of a run; ``after_each`` is called after each model."""
    assembler = Assembler(run=run, protocol=protocol, anchors=anchors)
    rows = []
    for model in run.models:
        rows += assembler.rows(model)
        after_each()
    return rows


def _exact(value: float, n: int) -> Estimate:
    return Estimate(value=value, se=None, se_method="none", n=n)


def _flops(counted: Mapping[str, Any]) -> Measured:
    value, n = counted["per_image"], counted["batch_size"]
    estimate = missing(counted["reason"], n=n) if value is None else _exact(value, n)
    return Measured(estimate=estimate, params={"batch_size": n, "operations": counted["operations"]})


def _shown(score: Score, params: Mapping[str, Any]) -> Measured:
    """A score's value is clipped to [0, 10], its error and interval are those of the unclipped one."""
    unclipped = score.unclipped
    shown = replace(unclipped, value=score.value)
    return Measured(estimate=shown, params={**params, "unclipped": unclipped.value, "interval": score.interval(LEVEL)})


def _unless_copying(score: Score, found: Evaluation) -> Score:
    return score if found.copying is None else withhold_if_copying(score, found.copying)


def _no_set(metric: Metric) -> Measured:
    return Measured(estimate=missing(f'the protocol has no set "{metric.set}"', n=0))
