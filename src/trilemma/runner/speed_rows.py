"""From what fresh processes have timed to the metric rows of a run of the verb ``speed``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trilemma.card import Precision
from trilemma.errors import UserError
from trilemma.metrics.catalog import BY_SPEED_ALONE, COUNTERS, METRICS
from trilemma.runner.counted import counted
from trilemma.runner.evaluate import Measured
from trilemma.runner.process_timings import ProcessTimings
from trilemma.runner.rows import metric_row
from trilemma.runner.speed_job import SpeedSettings
from trilemma.runner.speed_memory import memory_numbers
from trilemma.runner.timing_job import Scenario
from trilemma.runner.unknown import unknown_numbers
from trilemma.stages import STAGES
from trilemma.statistics.between import between_processes
from trilemma.statistics.estimate import Estimate, missing
from trilemma.statistics.percentiles import calls_needed, percentile
from trilemma.store.metric_rows import MetricRow
from trilemma.store.run import Run
from trilemma.timing.peaks import arithmetic, peak_flops

if TYPE_CHECKING:
    import pandas as pd

NAMES = (
    *("images_per_second", "latency_batch1", "load_seconds", "first_call_seconds", "peak_memory"),
    *BY_SPEED_ALONE,
    *COUNTERS,
)
"""What is measured of every model, in no order."""
PERCENTILES = {"latency_p90": 0.90, "latency_p99": 0.99}
NOT_COMPILED = "the model is not compiled"


def speed_rows(run: Run, settings: SpeedSettings) -> list[MetricRow]:
    """Returns every number of every model, in the catalogue's order; what could not be had is null, with the reason."""
    return [
        metric_row(run, model, METRICS[name], found[name])
        for model in run.models
        for found in [_numbers(run, model, settings)]
        for name in METRICS
        if name in NAMES
    ]


def _numbers(run: Run, model: str, settings: SpeedSettings) -> dict[str, Measured]:
    error = run.record.errors.get(model)
    if error is not None:
        reason = f"the model failed: {error['type']}: {error['message']}"
        return {name: Measured(estimate=missing(reason, n=0, status="failed")) for name in NAMES}
    card = run.record.cards[model]
    precision, compiled = card["precision"], bool(card["compile"])
    return SpeedNumbers(run.timings(model), run.record.models[model], settings.scenarios, precision, compiled).all()


class SpeedNumbers:
    """One model's numbers.

    Args:
        timings: every call of every process. said: what the record holds of the model.
        scenarios: those that were asked for.
    """

    def __init__(
        self,
        timings: pd.DataFrame,
        said: Mapping[str, Any],
        scenarios: Sequence[Scenario],
        precision: Precision,
        compiled: bool,
    ) -> None:
        self.said, self.scenarios, self.precision, self.compiled = said, scenarios, precision, compiled
        self.processes: list[dict[str, Any]] = said["processes"]
        self.timed = ProcessTimings(timings, self.processes)
        self.single = self.timed.window("single_stream", 1)
        self.best = self.timed.best_offline()

    def all(self) -> dict[str, Measured]:
        """Returns every metric of :data:`NAMES`."""
        counters, rate = self._counters(), self._rate()
        numbers = {
            **counters,
            "images_per_second": rate,
            "latency_batch1": self._latency(),
            **{name: self._percentile(share) for name, share in PERCENTILES.items()},
            "load_seconds": self._cold("load"),
            "first_call_seconds": self._cold("first_call"),
            "compile_seconds": self._compile(),
            **{f"seconds_{name}": self._stage(name) for name in STAGES},
            **memory_numbers(self.timed, self.best or self.single),
            "mfu": self._mfu(counters["flops_per_image"], rate),
            "joules_per_image": self._energy(),
        }
        return numbers | {name: one for name, one in unknown_numbers(self.said["info"]).items() if name in numbers}

    def _counters(self) -> dict[str, Measured]:
        """What was counted; a first call that did not fit has evaluated nothing that could be."""
        evaluations = self.processes[0].get("evaluations_per_image")
        if evaluations is None:
            nothing = Measured(estimate=missing("the first call did not fit", n=0, status="failed"))
            return counted(self.said, 0.0, 0) | {"evaluations_per_image": nothing}
        return counted(self.said, float(evaluations), 1)

    def _rate(self) -> Measured:
        if self.best is None:
            return self._nothing("offline")
        rates = [1 / seconds for seconds in self.best.seconds_per_image()]
        return self._measured(rates, self.best.images, self.best.note, self.best.about)

    def _latency(self) -> Measured:
        if self.single is None:
            return self._nothing("single_stream")
        return self._measured(self.single.medians(), self.single.calls, self.single.note, self.single.about)

    def _percentile(self, share: float) -> Measured:
        """Of the calls of all processes together; the error is that between the percentiles of each, if it has one."""
        if self.single is None:
            return self._nothing("single_stream")
        found = percentile(self.single.seconds(), share)
        if found.value is None:
            return Measured(estimate=found, params=self.single.about)
        needed, note = calls_needed(share), self.single.note
        if self.single.fewest_calls < needed:
            few = f"the {share:.0%} percentile has no standard error: that takes {needed} calls in each process"
            return Measured(estimate=replace(found, reason=_joined(note, few)), params=self.single.about)
        between = between_processes(self.single.quantiles(share), n=found.n)
        whole = Estimate(
            value=found.value,
            se=between.se,
            se_method=between.se_method,
            n=found.n,
            degrees_of_freedom=between.degrees_of_freedom,
            scale="log",
            reason=note,
        )
        return Measured(estimate=whole, params=self.single.about)

    def _cold(self, scenario: str) -> Measured:
        seconds = self.timed.once(scenario)
        return self._measured(seconds, len(seconds), None, {}) if seconds else self._nothing(scenario)

    def _compile(self) -> Measured:
        if not self.compiled:
            return Measured(estimate=missing(NOT_COMPILED, n=0))
        seconds = [process["compile_seconds"] for process in self.processes if process.get("compile_seconds")]
        if not seconds:
            return Measured(estimate=missing("torch.compile did nothing in the first call", n=0, status="failed"))
        return self._measured(seconds, len(seconds), None, {})

    def _stage(self, name: str) -> Measured:
        window = self.best or self.single
        if window is None:
            return self._nothing("offline")
        if window.stages_overlap:
            reason = "the stages add up to more than the calls that they are parts of"
            return Measured(estimate=missing(reason, n=window.calls, status="failed"), params=window.about)
        seconds = window.stage_seconds_per_image(name)
        if not seconds:
            return Measured(estimate=missing("the model marks no such stage", n=0))
        return self._measured(seconds, window.images, window.note, window.about)

    def _mfu(self, flops: Measured, rate: Measured) -> Measured:
        environment, operations = self.said["environment"], self.said["flops"]["operations"]
        if environment["device"] != "cuda":
            return Measured(estimate=missing("only a GPU has a peak to be compared with", n=0))
        if rate.estimate.value is None or flops.estimate.value is None or "uncounted" in flops.params:
            reason = rate.estimate.reason if rate.estimate.value is None else flops.estimate.reason
            return Measured(estimate=missing(str(reason), n=0))
        try:
            device = environment["name"]
            kind = arithmetic(self.precision, environment["flags"], operations, device)
            peak = peak_flops(device, kind)
        except UserError as error:
            return Measured(estimate=missing(error.what, n=0))
        params = {**rate.params, "arithmetic": kind, "peak": peak}
        return Measured(estimate=_scaled(rate.estimate, flops.estimate.value / peak), params=params)

    def _energy(self) -> Measured:
        found = [process["energy"] for process in self.processes]
        joules = [energy["joules_per_image"] for energy in found if energy["joules_per_image"] is not None]
        if len(joules) < len(found):
            reason = next(energy["reason"] for energy in found if energy["joules_per_image"] is None)
            return Measured(estimate=missing(reason, n=0))
        params = {name: found[0][name] for name in ("batch_size", "method")}
        params["window_seconds"] = min(energy["seconds"] for energy in found)
        note = None if self.best is None else _unless_best(params["batch_size"], self.best.size)
        return self._measured(joules, sum(energy["images"] for energy in found), note, params)

    def _measured(self, values: Sequence[float], n: int, note: str | None, about: Mapping[str, Any]) -> Measured:
        params = {**about, "processes": len(values)}
        return Measured(estimate=between_processes(values, n=n, reason=note), params=params)

    def _nothing(self, scenario: str) -> Measured:
        if scenario in ("single_stream", "offline") and scenario not in self.scenarios:
            return Measured(estimate=missing(f"{scenario.replace('_', '-')} was not asked for", n=0))
        status, reason = self.timed.why_nothing(scenario)
        return Measured(estimate=missing(reason, n=0, status=status))


def _joined(*notes: str | None) -> str | None:
    return "; ".join(note for note in notes if note) or None


def _unless_best(measured: int, best: int) -> str | None:
    """The first process says whose energy is measured; of all processes together another batch may be the best."""
    return None if measured == best else f"at batch {measured}: the best of all processes is {best}"


def _scaled(estimate: Estimate, factor: float) -> Estimate:
    assert estimate.value is not None
    return Estimate(
        value=estimate.value * factor,
        se=None if estimate.se is None else estimate.se * factor,
        se_method=estimate.se_method,
        n=estimate.n,
        degrees_of_freedom=estimate.degrees_of_freedom,
        scale=estimate.scale,
        reason=estimate.reason,
    )
