"""One model's metric rows: its numbers, its scores, and for what could not be had the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from trilemma.features.named import distance_name
from trilemma.metrics.catalog import BY_SPEED_ALONE, COUNTERS, METRICS, Metric
from trilemma.metrics.modes import expected_tv, mode_score
from trilemma.metrics.scores import Score, diversity_score, quality_score, speed_score, withhold_if_copying
from trilemma.protocol import Protocol
from trilemma.runner.anchors import Anchors
from trilemma.runner.counted import counted
from trilemma.runner.data_anchors import DataAnchors
from trilemma.runner.evaluate import Evaluation, Measured, SetData, evaluate, split_sets
from trilemma.runner.evaluate_data import diversity, evaluate_data
from trilemma.runner.job import REFERENCE
from trilemma.runner.per_image import PER_IMAGE
from trilemma.runner.plugged import evaluate_plugged
from trilemma.runner.rows import metric_row
from trilemma.runner.speed import best_batch, depends_on_machine, latency, speed_numbers
from trilemma.runner.unknown import unknown_numbers
from trilemma.statistics.estimate import missing
from trilemma.statistics.intervals import LEVEL
from trilemma.store.atomic import write_arrays
from trilemma.store.metric_rows import MetricRow
from trilemma.store.replicates import write_replicates
from trilemma.store.run import Run
from trilemma.timing.reference_decoder import SCENARIO

OF_SCENES = "fd_scenes"
BY_NETWORKS = ("score_quality", "score_diversity")
TIMED = tuple(name for name in METRICS if depends_on_machine(name) and name not in BY_SPEED_ALONE)


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
        measured = {name: numbers.get(name, _no_set(METRICS[name])) for name in self.names}
        return [metric_row(self.run, model, METRICS[name], one) for name, one in measured.items()]

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
            sets = split_sets(self.run.samples(model), self.run.features(model))
            found = _evaluated(sets, self.anchors)
            evaluate_plugged(found, sets, self.anchors)
            numbers |= found.numbers
            numbers |= {"score_quality": self._quality(found, self.anchors)}
            numbers |= {"score_diversity": self._diversity(found, sets, self.anchors)}
            self._keep_replicates(model, numbers)
            self._keep_nearest(model, found)
        if self.protocol.speed is not None:
            numbers |= {**speed_numbers(self.run.timings(model)), **self._speed(model, found)}
        return numbers | unknown_numbers(self.run.record.models[model]["info"])

    def _keep_replicates(self, model: str, numbers: Mapping[str, Measured]) -> None:
        """What every image has for itself is in the sample rows already."""
        sources = {name: one.estimate.replicates for name, one in numbers.items() if name not in PER_IMAGE}
        write_replicates(self.run.folder.replicates(model), sources)

    def _keep_nearest(self, model: str, found: Evaluation) -> None:
        """Row by row of the set that the copy test looks at."""
        if found.nearest is not None:
            arrays = {"distance": found.nearest.distances_N, "nearest": found.nearest.rows_N}
            write_arrays(self.run.folder.copies(model), arrays)

    def _counted(self, model: str) -> dict[str, Measured]:
        evaluations = self.run.samples(model)["evaluations"].to_numpy()
        return counted(self.run.record.models[model], float(evaluations.mean()), len(evaluations))

    def _quality(self, found: Evaluation, anchors: Anchors) -> Measured:
        name = OF_SCENES if self.protocol.knows_truth else distance_name(self.protocol)
        if name not in found.numbers:
            return Measured(estimate=missing("the protocol has no prompted images", n=0))
        distance = found.numbers[name].estimate
        reduced, floor = anchors.reduced(distance.n), anchors.floor(distance.n)
        score = quality_score(distance, reduced, floor)
        return _shown(_unless_copying(score, found), {"reduced": reduced.value, "real": floor.value})

    def _diversity(self, found: Evaluation, sets: Mapping[str, SetData], anchors: Anchors) -> Measured:
        if isinstance(anchors, DataAnchors):
            return _shown(_unless_copying(diversity(found, sets, anchors), found), {})
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


def assemble(run: Run, protocol: Protocol, anchors: Anchors | None, after_each: Callable[[], None]) -> list[MetricRow]:
    """Returns the metric rows of every model of a run; ``after_each`` is called after each model."""
    assembler = Assembler(run=run, protocol=protocol, anchors=anchors)
    rows = []
    for model in run.models:
        rows += assembler.rows(model)
        after_each()
    return rows


def _evaluated(sets: Mapping[str, SetData], anchors: Anchors) -> Evaluation:
    return evaluate_data(sets, anchors) if isinstance(anchors, DataAnchors) else evaluate(sets, anchors)


def _shown(score: Score, params: Mapping[str, Any]) -> Measured:
    """A score's value is clipped to [0, 10], its error and interval are those of the unclipped one."""
    unclipped = score.unclipped
    shown = replace(unclipped, value=score.value)
    return Measured(estimate=shown, params={**params, "unclipped": unclipped.value, "interval": score.interval(LEVEL)})


def _unless_copying(score: Score, found: Evaluation) -> Score:
    return score if found.copying is None else withhold_if_copying(score, found.copying)


def _no_set(metric: Metric) -> Measured:
    return Measured(estimate=missing(f'the protocol has no set "{metric.set}"', n=0))
