"""One row of the table: how it is measured, what truly changed, and what is promised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from numpy.random import Generator

from trilemma.metrics.margins import GATING
from trilemma.statistics.decision import Verdict

COMPARISONS = 1000
TIME_MARGIN = GATING["latency_batch1"].margin.of_log(1.0)
DISTANCE_MARGIN = GATING["fd_scenes"].margin

Promise = Literal["≤ 2 %", "≥ 95 %", "—"]
ALARMS: Promise = "≤ 2 %"
POWER: Promise = "≥ 95 %"
NONE: Promise = "—"


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What is simulated.

    Attributes:
        noise: what differs without a cause. change: what was planted.
        draw: returns the verdicts of 1,000 comparisons.
        promise: of the share of comparisons that are REGRESSED.
    """

    design: str
    noise: str
    change: str
    draw: Callable[[Generator], list[Verdict]]
    promise: Promise


@dataclass(frozen=True, kw_only=True)
class Row:
    """What came of a scenario: the share of each verdict among its comparisons."""

    scenario: Scenario
    verdicts: list[Verdict]

    def share(self, verdict: Verdict) -> float:
        """Returns the share of comparisons with this verdict."""
        return self.verdicts.count(verdict) / len(self.verdicts)

    @property
    def kept(self) -> bool:
        """Whether the promise was kept."""
        alarms = self.share("REGRESSED")
        return {ALARMS: alarms <= 0.02, POWER: alarms >= 0.95, NONE: True}[self.scenario.promise]
