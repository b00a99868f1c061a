"""One series of two sides with its verdict: what tables, JSON, Markdown and JUnit are made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from trilemma.statistics.decision import Decision, Verdict
from trilemma.statistics.margins import Part

Pairing = Literal["paired", "unpaired", "sessions", "processes"]
MarginFrom = Literal["default", "protocol", "calibrated"]

FAILING: tuple[Verdict, ...] = ("REGRESSED", "INVALID", "MISSING")
UNDECIDED: tuple[Verdict, ...] = ("INCONCLUSIVE", "INCOMPARABLE", "NEW")
PASSING: tuple[Verdict, ...] = ("EXACT_SAME", "SAME", "IMPROVED")
ORDER = (*FAILING, *UNDECIDED, *reversed(PASSING))
"""Failures first."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One model's metric.

    Attributes:
        gated: whether it counts for the exit code.
        baseline, candidate: values; of several sessions the mean, for times the geometric one.
        difference: candidate − baseline; where ``log`` is True, of natural logs.
        worse: the same, positive where the candidate is worse. se, degrees_of_freedom: of it.
        margin: what ``worse`` must exceed to matter, and where it came from.
        pairing: how the difference was had.
        decision: verdict, reason, p, bounds.
        message: the reason in a sentence.
    """

    model: str
    metric: str
    gated: bool
    decision: Decision
    message: str
    baseline: float | None = None
    candidate: float | None = None
    unit: str = ""
    log: bool = False
    difference: float | None = None
    worse: float | None = None
    se: float | None = None
    degrees_of_freedom: float | None = None
    margin: float | None = None
    margin_part: Part | None = None
    margin_from: MarginFrom | None = None
    pairing: Pairing | None = None

    @property
    def verdict(self) -> Verdict:
        """Its verdict."""
        return self.decision.verdict

    @property
    def name(self) -> str:
        """Its series' name."""
        return f"{self.model}/{self.metric}"


def failures_first(series: Iterable[Judged]) -> list[Judged]:
    """Returns the series with failures first and gated ones before others, else in their order."""
    return sorted(series, key=lambda one: (not one.gated, ORDER.index(one.verdict)))


MESSAGES: dict[str, str] = {
    "bound_above_zero_and_margin": "worse beyond chance and beyond the margin",
    "bound_below_zero_and_margin": "better beyond chance and beyond the margin",
    "equivalent": "the difference lies within the margin",
    "identical_values": "the values are equal",
    "within_noise": "the difference may be chance",
    "below_margin": "a difference beyond chance, but not shown to lie on either side of the margin",
    "not_significant_after_holm": "a difference that may be chance, among so many series",
    "duplicate_rows": "a record has this series twice",
    "not_finite": "a value or an error is not finite",
    "zero_where_positive": "zero or less, where only a positive number can be",
    "no_standard_error": "without a standard error nothing can be decided",
    "too_few_processes": "five processes are needed on each side",
    "too_few_sessions": "five runs of the baseline and two of the candidate are needed to judge a time",
    "counter_equal": "equal",
    "counter_within_tolerance": "equal within the tolerance",
    "counter_differs": "the count differs",
    "identical_images": "every image is the same, byte by byte",
    "images_differ": "images differ where they should be the same, byte by byte",
    "same_images_other_value": "the images are the same and the value is not: what measures it has changed",
    "resident_memory": "the whole process's memory does not repeat well enough to be judged",
    "busy_machine": "the machine was busy when it was measured again, so nothing was confirmed",
    "another_machine": "it was measured again on another machine or in another way, so nothing was confirmed",
    "status_failed": "a process failed when it was measured again",
    "not_confirmed": "a second measurement in fresh processes did not repeat it",
    "no_baseline_value": "the baseline has no such value",
    "no_candidate_value": "the candidate has no such value",
}
"""What codes mean, for people; codes that need particulars bring a sentence of their own."""
