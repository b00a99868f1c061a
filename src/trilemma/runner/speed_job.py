"""What a worker of the verb ``speed`` is told, and how long it is to time.

This job is of one version of the suite: it may change with any, unlike :mod:`trilemma.runner.timing_job`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trilemma.card import Card
from trilemma.errors import UserError
from trilemma.runner.timing_job import Scenario
from trilemma.store.atomic import write_json
from trilemma.strict_toml import build, dump
from trilemma.timing.batch_sweep import AUTO_SIZES
from trilemma.timing.window import WindowRule

Kind = Literal["speed", "flops"]
LEAST_OFFLINE_CALLS = 3


@dataclass(frozen=True, kw_only=True)
class SpeedSettings:
    """How every model of a run is timed.

    Attributes:
        batch_sizes: of the offline sweep. auto: whether it stops where a larger batch gains nothing.
        processes: fresh ones, in turn over the models.
        calls: the least of single-stream in each process: three times 15 are enough for the 90th percentile, though not
            for its error.
        seconds: the least that a window is timed.
        budget_seconds: the most that one scenario takes in one process, warm-up included and compilation left out; the
            fewest calls of its smallest batch are timed in any case. A process that follows another has no budget.
    """

    scenarios: tuple[Scenario, ...] = ("single_stream", "offline")
    batch_sizes: tuple[int, ...] = AUTO_SIZES
    auto: bool = True
    processes: int = 3
    calls: int = 15
    seconds: float = 1.0
    budget_seconds: float = 60.0

    def __post_init__(self) -> None:
        if not self.scenarios:
            raise UserError("no scenario is named.", where="--scenario")
        if not self.batch_sizes or min(self.batch_sizes) < 1:
            raise UserError("must be 1 or more.", where="--batch-size")
        for name, value in (("--processes", self.processes), ("--calls", self.calls)):
            if value < 1:
                raise UserError(f"must be 1 or more, got {value}.", where=name)
        for name, number in (("--seconds", self.seconds), ("--budget", self.budget_seconds)):
            if not 0 < number < float("inf"):
                raise UserError(f"must be a number above 0, got {number}.", where=name)

    def rule(self, scenario: Scenario) -> WindowRule:
        """Returns how long a window of a scenario is."""
        calls = self.calls if scenario == "single_stream" else LEAST_OFFLINE_CALLS
        return WindowRule(least_calls=calls, least_seconds=self.seconds, most_seconds=self.budget_seconds)


@dataclass(frozen=True, kw_only=True)
class SpeedJob:
    """One process's work: one model timed, or its operations counted.

    Attributes:
        prompts, seeds: equally many; calls go through them in turn, and at their end start again with other seeds.
        batch_sizes, auto: of this process: the first one of a model may explore, the others time what it found.
        follows: whether the sizes are what another process found.
        energy_batch: whose energy is measured; None for the best of this process.
        timings: the Parquet file that is to be written, one row per call and stage.
        replicate: the number of the process. session: the occasion.
    """

    kind: Kind
    card: Card
    settings: SpeedSettings
    prompts: tuple[str, ...]
    seeds: tuple[int, ...]
    device: str
    timings: Path
    session: str
    replicate: int = 0
    batch_sizes: tuple[int, ...] = ()
    auto: bool = False
    follows: bool = False
    energy_batch: int | None = None

    def write(self, path: Path) -> Path:
        """Puts the job at ``path`` and returns it."""
        plain = ("kind", "device", "session", "replicate", "auto", "follows", "energy_batch")
        lists = ("prompts", "seeds", "batch_sizes")
        table: dict[str, Any] = {name: getattr(self, name) for name in plain}
        table |= {name: list(getattr(self, name)) for name in lists}
        table |= {"settings": dump(self.settings), "timings": str(self.timings)}
        write_json(path, table | {"card": dump(self.card), "card_path": str(self.card.path)})
        return path


def speed_job(stored: dict[str, Any], *, where: str) -> SpeedJob:
    """Returns the job of a parsed file."""
    table = dict(stored)
    path = Path(table.pop("card_path"))
    table["card"] = build(Card, table["card"], where=where, path=path)
    table["settings"] = build(SpeedSettings, table["settings"], where=where)
    table |= {name: tuple(table[name]) for name in ("prompts", "seeds", "batch_sizes")}
    return SpeedJob(**table | {"timings": Path(table["timings"])})
