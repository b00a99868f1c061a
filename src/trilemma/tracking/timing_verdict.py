"""What interleaved timings say: Welch's test on the logs of the processes' medians, Holm over all cases."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from trilemma.metrics.margins import gating
from trilemma.runner.timing_job import Scenario
from trilemma.statistics.contrasts import PROCESSES, mann_whitney, positive_logs, welch
from trilemma.statistics.decision import Decision, Test, Verdict, decide
from trilemma.statistics.margins import Margin
from trilemma.tracking.case import scenario_title
from trilemma.tracking.interleave import Interleaved, differing, facts
from trilemma.tracking.processes import ProcessTiming


@dataclass(frozen=True, kw_only=True)
class TimingComparison:
    """One case: B against A. Ratios are of logs: positive where B is slower.

    Attributes:
        metric: the metric of a run's record that this time stands for.
        verdict, reason: as of every series that is decided. sentence: for people.
        a_seconds, b_seconds: the median of the processes' medians of a call; None where a side has none.
        log_ratio: the difference of the means of the logs; se, degrees_of_freedom: Welch's.
        lower, upper: one-sided bounds at 99 %. margin: what the log ratio must exceed to matter.
        p, p_adjusted: one-sided, before and after Holm. detectable: the smallest slowdown found in 4 of 5 comparisons.
        rank_p: of the exact Mann–Whitney test, two-sided: a check that outliers cannot sway.
        subject: what differs between the versions.
        processes: all of them, in the order of time.
    """

    model: str
    scenario: Scenario
    batch_size: int
    metric: str
    verdict: Verdict
    reason: str
    sentence: str
    a_seconds: float | None = None
    b_seconds: float | None = None
    log_ratio: float | None = None
    se: float | None = None
    degrees_of_freedom: float | None = None
    lower: float | None = None
    upper: float | None = None
    margin: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    detectable: float | None = None
    rank_p: float | None = None
    subject: tuple[str, ...] = ()
    processes: tuple[ProcessTiming, ...] = ()

    @property
    def title(self) -> str:
        """The scenario, for people."""
        return scenario_title(self.scenario, self.batch_size)


def default_margin(metric: str) -> Margin:
    """Returns the suite's own margin. What calibration measures is between sessions: turns within one cancel that."""
    return gating(metric).margin


def judge(
    measured: Sequence[Interleaved], margin_of: Callable[[str], Margin] = default_margin
) -> list[TimingComparison]:
    """Returns a comparison for each case, in order; those that cannot be tested are no part of Holm's family."""
    refused = [_refused(one) for one in measured]
    tested = [one for one, no in zip(measured, refused, strict=True) if no is None]
    tests = [timing_test(one, margin_of) for one in tested]
    judged = iter(map(_judged, tested, tests, decide(tests)))
    return [no if no is not None else next(judged) for no in refused]


def timing_test(one: Interleaved, margin_of: Callable[[str], Margin] = default_margin) -> Test:
    """Returns the test of a case of which every process gave a time: for a confirmation, which is judged by itself."""
    a, b = (_seconds(one, name) for name in ("A", "B"))
    margin = margin_of(one.case.metric).of_log(float(np.median(a)))
    return Test.of_contrast(welch(positive_logs(a), positive_logs(b)), margin, better="lower")


def _refused(one: Interleaved) -> TimingComparison | None:
    """Returns why a case cannot be tested: INVALID or INCOMPARABLE; None where it can."""
    broken = next((timing for timing in one.timings if timing.status != "ok"), None)
    if broken is not None:
        code = "busy_machine" if broken.status == "busy" else "status_failed"
        return _comparison(one, Decision(verdict="INVALID", reason=code), f"{broken.side}: {broken.reason}")
    if fields := differing(one.timings):
        return _comparison(one, Decision(verdict="INCOMPARABLE", reason="identity_differs"), "; ".join(fields))
    return None


def _judged(one: Interleaved, test: Test, decision: Decision) -> TimingComparison:
    return _comparison(one, decision, _sentence(test, decision), test)


def _comparison(one: Interleaved, decision: Decision, sentence: str, test: Test | None = None) -> TimingComparison:
    a, b = one.side("A"), one.side("B")
    return TimingComparison(
        model=one.case.model,
        scenario=one.case.scenario,
        batch_size=one.case.batch_size,
        metric=one.case.metric,
        **vars(decision),
        sentence=sentence,
        a_seconds=_median(one, "A"),
        b_seconds=_median(one, "B"),
        log_ratio=test.worse if test else None,
        se=test.se if test else None,
        degrees_of_freedom=test.degrees_of_freedom if test else None,
        margin=test.margin if test else None,
        rank_p=mann_whitney(_seconds(one, "A"), _seconds(one, "B")) if test else None,
        subject=tuple(facts(a[0], b[0])) if a and b else (),
        processes=one.timings,
    )


def _sentence(test: Test, decision: Decision) -> str:
    change = f"B takes {abs(math.expm1(test.worse)):.1%} {'more' if test.worse >= 0 else 'less'} time per call"
    if decision.lower is None or decision.upper is None:
        return f"{change}."
    bounds = f"{math.expm1(decision.lower):+.1%} to {math.expm1(decision.upper):+.1%} at 99 %"
    return f"{change} ({bounds}; margin {math.expm1(test.margin):.1%}){_what_is_missing(decision)}."


def _what_is_missing(decision: Decision) -> str:
    if decision.reason == "too_few_processes":
        return f"; a verdict needs {PROCESSES} processes on each side"
    if decision.verdict == "INCONCLUSIVE" and decision.detectable is not None:
        return f"; a slowdown of {math.expm1(decision.detectable):.1%} would be found"
    return ""


def _seconds(one: Interleaved, name: str) -> list[float]:
    return [timing.seconds for timing in one.side(name) if timing.seconds is not None]


def _median(one: Interleaved, name: str) -> float | None:
    seconds = _seconds(one, name)
    return float(np.median(seconds)) if seconds else None
