"""A model's timed calls, process by process: what counts of them, and what the record says of the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from trilemma.statistics.estimate import Status
from trilemma.statistics.percentiles import quantile
from trilemma.timing.clock import END_TO_END

if TYPE_CHECKING:
    import pandas as pd

WORDS = {"void": "withheld", "out_of_memory": "failed", "failed": "failed", "skipped": "skipped"}
"""The status of a number whose windows all ended so."""


class ProcessTimings:
    """All calls of one model.

    Args:
        timings: rows of the store. processes: what the record says of each, with its windows.
    """

    def __init__(self, timings: pd.DataFrame, processes: Sequence[Mapping[str, Any]]) -> None:
        self.timings, self.processes = timings, processes
        self.counted = timings[timings["status"] == "ok"]

    def window(self, scenario: str, size: int) -> ProcessWindow | None:
        """Returns one batch size of a scenario; None where no process has a call of it that counts."""
        rows = self.counted[(self.counted["scenario"] == scenario) & (self.counted["batch_size"] == size)]
        return None if rows.empty else ProcessWindow(scenario, size, rows, self.processes)

    def best_offline(self) -> ProcessWindow | None:
        """Returns the batch size with the least time per image, among those that the most processes have timed."""
        sizes = self.counted[self.counted["scenario"] == "offline"]["batch_size"].unique()
        windows = [window for size in sizes if (window := self.window("offline", int(size))) is not None]
        most = max([len(window.seconds_per_image()) for window in windows], default=0)
        shared = [window for window in windows if len(window.seconds_per_image()) == most]
        return min(shared, key=lambda window: float(np.mean(window.seconds_per_image())), default=None)

    def at(self, size: int) -> pd.DataFrame:
        """Returns all rows of one batch size, of every scenario, whether they count or not."""
        return self.timings[self.timings["batch_size"] == size]

    def once(self, scenario: str) -> list[float]:
        """Returns the seconds of what each process does once: "load", "first_call"."""
        stage = "load" if scenario == "load" else END_TO_END
        rows = self.counted[(self.counted["scenario"] == scenario) & (self.counted["stage"] == stage)]
        return [float(nanoseconds) / 1e9 for nanoseconds in rows["wall_ns"].dropna()]

    def why_nothing(self, scenario: str) -> tuple[Status, str]:
        """Returns the status and the reason of a scenario of which nothing counts."""
        rows = self.timings[self.timings["scenario"] == scenario].dropna(subset=["reason"])
        if rows.empty:
            return "skipped", "was not timed"
        last = rows.iloc[0]
        status: Status = WORDS[str(last["status"])]  # type: ignore[assignment]
        return status, f"batch {last['batch_size']}: {str(last['status']).replace('_', ' ')}: {last['reason']}"


class ProcessWindow:
    """One batch size of one scenario in all processes; only calls that count are in ``rows``."""

    def __init__(self, scenario: str, size: int, rows: pd.DataFrame, processes: Sequence[Mapping[str, Any]]) -> None:
        self.scenario, self.size = scenario, size
        self.whole, self.stages = rows[rows["stage"] == END_TO_END], rows[rows["stage"] != END_TO_END]
        self.calls, self.images = len(self.whole), int(self.whole["n_images"].sum())
        self.windows = [
            window
            for process in processes
            for window in process["windows"]
            if (window["scenario"], window["batch_size"]) == (scenario, size)
        ]

    def seconds(self) -> list[float]:
        """Returns the seconds of every call."""
        return [float(nanoseconds) / 1e9 for nanoseconds in self.whole["wall_ns"]]

    def medians(self) -> list[float]:
        """Returns the median seconds of a call, for each process."""
        by_process = self.whole.groupby("replicate")["wall_ns"].quantile(0.5)
        return [float(nanoseconds) / 1e9 for nanoseconds in by_process]

    @cached_property
    def fewest_calls(self) -> int:
        """Of any process."""
        return int(self.whole.groupby("replicate").size().min())

    def quantiles(self, share: float) -> list[float]:
        """Returns the empirical quantile of the seconds of a call, for each process."""
        by_process = self.whole.groupby("replicate")["wall_ns"]
        return [quantile(calls.to_numpy(dtype=np.float64), share) / 1e9 for _, calls in by_process]

    def seconds_per_image(self) -> list[float]:
        """Returns all seconds over all images, for each process."""
        sums = self.whole.groupby("replicate")[["wall_ns", "n_images"]].sum()
        return [float(seconds) for seconds in sums["wall_ns"] / 1e9 / sums["n_images"]]

    def stage_seconds_per_image(self, name: str) -> list[float]:
        """Returns the seconds of one stage over all images, for each process that marks it."""
        rows = self.stages[self.stages["stage"] == name]
        images = self.whole.groupby("replicate")["n_images"].sum()
        spent = self._stage_ns(rows).groupby(rows["replicate"]).sum()
        return [float(seconds) for seconds in spent / 1e9 / images.reindex(spent.index)]

    @cached_property
    def stages_overlap(self) -> bool:
        """Whether the stages of any process take longer than its calls: then none of them can be believed."""
        whole = self.whole.groupby("replicate")["wall_ns"].sum()
        stages = self._stage_ns(self.stages).groupby(self.stages["replicate"]).sum()
        return bool((stages > whole.reindex(stages.index)).any())

    @cached_property
    def note(self) -> str | None:
        """What is to be said of the numbers of this window, or None."""
        watched = [window for window in self.windows if window["status"] in ("ok", "void")]
        unseen = sum(window["power_capped"] is None for window in watched) if self._on_gpu else 0
        void = sum(window["status"] == "void" for window in self.windows)
        restless = sum(window["converged"] is False for window in self.windows)
        told = [f"void in {void} of {len(self.windows)} processes"] if void else []
        told += [f"the warm-up did not converge in {restless} of {len(self.windows)} processes"] if restless else []
        told += [f"throttling could not be observed in {unseen} of {len(self.windows)} processes"] if unseen else []
        return "; ".join(told) or None

    @cached_property
    def about(self) -> dict[str, Any]:
        """What the numbers depend on: ``kind`` tells apart the scenarios that a stage or a peak may be of."""
        clocks = [clock for window in self.windows for clock in window["sm_mhz"] or ()]
        capped = [window["power_capped"] for window in self.windows if window["power_capped"] is not None]
        return {
            "batch_size": self.size,
            "kind": self.scenario,
            "processes": int(self.whole["replicate"].nunique()),
            "warmup_calls": [window["warmup_calls"] for window in self.windows],
            "warmup_seconds": [window["warmup_seconds"] for window in self.windows],
            "converged": all(window["converged"] for window in self.windows if window["status"] == "ok"),
            "power_capped": any(capped) if capped else None,
            "sm_mhz": [min(clocks), max(clocks)] if clocks else None,
        }

    @property
    def _on_gpu(self) -> bool:
        return bool((self.whole["device"] == "cuda").any())

    @staticmethod
    def _stage_ns(rows: pd.DataFrame) -> pd.Series[float]:
        """On a GPU by its own clock, else by the host's."""
        return rows["device_ns"].fillna(rows["wall_ns"])
