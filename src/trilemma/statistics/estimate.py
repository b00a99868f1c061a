"""A measured number with its standard error, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from trilemma.statistics.intervals import normal_interval, t_interval, wilson_interval

Status = Literal["ok", "failed", "skipped", "nan", "withheld"]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One number.

    Attributes:
        value: the number, or None when it could not be had (never 0 instead).
        se: its standard error, or None when unknown.
        se_method: "influence" (the reference held fixed), "influence_both" (the sampling of both sides),
            "group_jackknife", "blocks", "mean", "binomial", "delta", "difference", "difference_jackknife", "none";
            those that sum within clusters first end in "_clustered".
        n: samples that went in.
        degrees_of_freedom: of the standard error; None means normal quantiles.
        status: "ok", or why there is no value.
        reason: one sentence for people: why there is no value, or what the standard error leaves out.
    """

    value: float | None
    se: float | None
    se_method: str
    n: int
    degrees_of_freedom: int | None = None
    status: Status = "ok"
    reason: str | None = None

    def interval(self, level: float = 0.95) -> tuple[float, float] | None:
        """Returns the two-sided interval: Wilson for "binomial", else Student's t, else normal; None without an SE."""
        if self.value is None or self.se is None:
            return None
        if self.se_method == "binomial":
            return wilson_interval(self.value, self.n, level)
        if self.degrees_of_freedom is None:
            return normal_interval(self.value, self.se, level)
        return t_interval(self.value, self.se, self.degrees_of_freedom, level)


def missing(reason: str, *, n: int, status: Status = "skipped") -> Estimate:
    """Returns an estimate without a value, with the reason."""
    return Estimate(value=None, se=None, se_method="none", n=n, status=status, reason=reason)


def too_few(n: int, *, needed: int, what: str = "samples") -> Estimate:
    """Returns the estimate of a metric that was given too few samples, naming the number that it needs."""
    return missing(f"needs at least {needed} {what}; there are {n}", n=n)
