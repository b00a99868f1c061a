"""A measured number with its standard error, or the reason why there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal

from trilemma.statistics.intervals import log_interval, normal_interval, t_interval, wilson_interval
from trilemma.statistics.replicates import Replicates
from trilemma.statistics.standard_error import combined

Status = Literal["ok", "failed", "skipped", "nan", "withheld"]
Scale = Literal["linear", "log"]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One number.

    Attributes:
        value: the number, or None when it could not be had (never 0 instead).
        se: its standard error, or None when unknown.
        se_method: "influence" (the reference held fixed), "influence_both" (the sampling of both sides),
            "group_jackknife", "blocks", "mean", "binomial", "delta", "difference", "difference_jackknife", "none";
            those that sum within clusters first end in "_clustered"; of times, "calls" or "processes".
        n: samples that went in.
        degrees_of_freedom: of the standard error; None means normal quantiles.
        scale: on which the number scatters evenly, and so the one that its interval lives on.
        status: "ok", or why there is no value.
        reason: one sentence for people: why there is no value, or what the standard error leaves out.
        replicates: the independent sources of the standard error, for comparisons in pairs; none where none are known.
    """

    value: float | None
    se: float | None
    se_method: str
    n: int
    degrees_of_freedom: float | None = None
    scale: Scale = "linear"
    status: Status = "ok"
    reason: str | None = None
    replicates: tuple[Replicates, ...] = field(default=(), compare=False, repr=False)

    def interval(self, level: float = 0.95) -> tuple[float, float] | None:
        """Returns the two-sided interval: Wilson for "binomial", else Student's t, else normal; None without an SE.

        On the log scale it is value · exp(± t · se/value): it stays above 0 and reaches farther up than down. An error
        as large as the value says nothing of its logarithm; there the interval is that of the linear scale.
        """
        if self.value is None or self.se is None:
            return None
        if self.se_method == "binomial":
            return wilson_interval(self.value, self.n, level)
        if self.scale == "log" and self.se < self.value:
            return log_interval(self.value, self.se, self.degrees_of_freedom or math.inf, level)
        if self.degrees_of_freedom is None:
            return normal_interval(self.value, self.se, level)
        return t_interval(self.value, self.se, self.degrees_of_freedom, level)

    def logarithm(self) -> Estimate:
        """Returns the natural logarithm, its error to first order (delta method), with the replicates scaled alike.

        There is none of what is not above 0, nor of a value that does not exceed its own error: first order is not
        enough there.
        """
        if self.value is None:
            return self
        if self.value <= 0 or (self.se is not None and self.se >= self.value):
            why = "it is not above 0" if self.value <= 0 else "it does not exceed its own standard error"
            return missing(f"{self.value:.4g} has no logarithm to test: {why}", n=self.n)
        return replace(
            self,
            value=math.log(self.value),
            se=None if self.se is None else self.se / self.value,
            se_method="none" if self.se is None else "delta",
            scale="linear",
            replicates=tuple(source.scaled(1 / self.value) for source in self.replicates),
        )


def estimate_from(
    value: float,
    *sources: Replicates,
    se_method: str,
    n: int,
    scale: Scale = "linear",
    reason: str | None = None,
) -> Estimate:
    """Returns an estimate whose standard error is that of independent sources, or none where one has too few units."""
    errors = [source.error() for source in sources]
    known = [error for error in errors if error is not None]
    if len(known) < len(sources):
        return Estimate(value=value, se=None, se_method="none", n=n, reason=reason, replicates=sources)
    error = combined(known)
    return Estimate(
        value=value,
        se=error.se,
        se_method=se_method,
        n=n,
        degrees_of_freedom=error.degrees_of_freedom,
        scale=scale,
        reason=reason,
        replicates=sources,
    )


def missing(reason: str, *, n: int, status: Status = "skipped") -> Estimate:
    """Returns an estimate without a value, with the reason."""
    return Estimate(value=None, se=None, se_method="none", n=n, status=status, reason=reason)


def exact(value: float, n: int) -> Estimate:
    """Returns a number without an error."""
    return Estimate(value=value, se=None, se_method="none", n=n)


def too_few(n: int, *, needed: int, what: str = "samples") -> Estimate:
    """Returns the estimate of a metric that was given too few samples, naming the number that it needs."""
    return missing(f"needs at least {needed} {what}; there are {n}", n=n)
