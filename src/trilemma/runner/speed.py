"""From timed calls to numbers: throughput at the best batch, latency, cold costs, memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trilemma.metrics.catalog import COUNTERS, METRICS
from trilemma.runner.evaluate import Measured
from trilemma.statistics.estimate import Estimate, exact, missing
from trilemma.statistics.standard_error import mean_se

if TYPE_CHECKING:
    import pandas as pd

# How much wider the median's standard error is than the mean's, for normal errors: sqrt(pi / 2).
MEDIAN_FACTOR = math.sqrt(math.pi / 2)


def depends_on_machine(metric: str) -> bool:
    """Whether a metric is timed, or measured in bytes, and so belongs to an execution and a class of hardware."""
    if metric in COUNTERS:
        return False
    return metric.startswith("score_speed") or (metric in METRICS and METRICS[metric].axis == "speed")


@dataclass(frozen=True, kw_only=True)
class BestBatch:
    """The batch size with the least time per image, and that time in seconds."""

    batch_size: int
    seconds_per_image: Estimate
    rows: pd.DataFrame


def best_batch(timings: pd.DataFrame, scenario: str) -> BestBatch | None:
    """Returns the best of a sweep, None where nothing was timed."""
    timed = timings[(timings["scenario"] == scenario) & (timings["status"] == "ok")]
    best: BestBatch | None = None
    for size, rows in timed.groupby("batch_size"):
        estimate = _seconds_per_image(rows)
        assert estimate.value is not None
        if best is None or estimate.value < (best.seconds_per_image.value or math.inf):
            best = BestBatch(batch_size=int(str(size)), seconds_per_image=estimate, rows=rows)
    return best


def latency(timings: pd.DataFrame) -> Estimate:
    """Returns the median seconds of a call at batch 1."""
    rows = timings[timings["scenario"] == "single_stream"]
    seconds = _seconds(rows)
    if len(seconds) == 0:
        return missing("no call at batch 1 was timed", n=0)
    se = MEDIAN_FACTOR * mean_se(seconds) if len(seconds) > 1 else None
    return Estimate(
        value=float(np.median(seconds)), se=se, se_method="calls" if se is not None else "none", n=len(rows)
    )


def speed_numbers(timings: pd.DataFrame) -> dict[str, Measured]:
    """Returns the speed metrics of the catalogue. One process was timed: errors are those between its calls."""
    best = best_batch(timings, "offline")
    numbers = {
        "latency_batch1": Measured(estimate=latency(timings), params={"batch_size": 1, "processes": 1}),
        "load_seconds": Measured(estimate=_once(timings, "load")),
        "first_call_seconds": Measured(estimate=_once(timings, "first_call"), params={"batch_size": 1}),
    }
    if best is None:
        nothing = Measured(estimate=missing("no batch was timed", n=0))
        return {**numbers, "images_per_second": nothing, "peak_memory": nothing}
    params = {"batch_size": best.batch_size, "processes": 1}
    rate = Measured(estimate=_rate(best.seconds_per_image), params=params)
    return {**numbers, "images_per_second": rate, "peak_memory": _memory(best, timings)}


def _rate(seconds: Estimate) -> Estimate:
    assert seconds.value is not None
    se = None if seconds.se is None else seconds.se / seconds.value**2
    return Estimate(value=1 / seconds.value, se=se, se_method=seconds.se_method, n=seconds.n)


def _memory(best: BestBatch, timings: pd.DataFrame) -> Measured:
    """The peak up to the best batch: what torch allocated on CUDA, else the whole process with its runtime.

    What was allocated is that of all calls at this batch size: a replayed CUDA graph shows it while it is recorded.
    """
    allocated = timings[timings["batch_size"] == best.batch_size]["allocated_bytes"].dropna()
    kind, column = ("allocated", allocated) if len(allocated) else ("resident", best.rows["peak_rss_bytes"].dropna())
    params = {"batch_size": best.batch_size, "kind": kind}
    if len(column) == 0:
        return Measured(estimate=missing("memory could not be measured here", n=0), params=params)
    return Measured(estimate=exact(float(column.max()), 1), params=params)


def _seconds_per_image(rows: pd.DataFrame) -> Estimate:
    per_image = _seconds(rows) / rows["n_images"].to_numpy()
    se = mean_se(per_image) if len(per_image) > 1 else None
    method = "calls" if se is not None else "none"
    return Estimate(value=float(per_image.mean()), se=se, se_method=method, n=int(rows["n_images"].sum()))


def _once(timings: pd.DataFrame, scenario: str) -> Estimate:
    seconds = _seconds(timings[timings["scenario"] == scenario])
    return exact(float(seconds[0]), 1) if len(seconds) else missing("was not timed", n=0)


def _seconds(rows: pd.DataFrame) -> NDArray[np.float64]:
    return rows["wall_ns"].dropna().to_numpy(dtype=np.float64) / 1e9
