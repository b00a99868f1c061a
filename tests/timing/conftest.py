"""A clock of our own: time that passes only when something works, for every module that looks at one."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from trilemma.timing import clock, cuda, energy, stage_clock, watch


@dataclass
class Clock:
    """Time that passes only when something works."""

    nanoseconds: int = 0

    def work(self, seconds: float) -> None:
        self.nanoseconds += round(seconds * 1e9)

    def perf_counter_ns(self) -> int:
        return self.nanoseconds

    def perf_counter(self) -> float:
        return self.nanoseconds / 1e9


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in (clock, cuda, energy, stage_clock, watch):
        monkeypatch.setattr(module, "time", made)
    return made
