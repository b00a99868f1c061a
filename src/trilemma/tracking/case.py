"""What every process of a timing series does, whichever version it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trilemma.errors import UserError
from trilemma.protocol import Protocol, SpeedSpec
from trilemma.runner.plan import plan
from trilemma.runner.timing_job import Scenario, TimingJob

METRIC: dict[Scenario, str] = {"single_stream": "latency_batch1", "offline": "images_per_second"}
"""The metric of a run's record that a scenario's time stands for."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model at a scenario, with the prompts and seeds that both sides get.

    Attributes:
        model: its name, under which both sides have a card.
    """

    model: str
    scenario: Scenario
    batch_size: int
    prompts: tuple[str, ...]
    seeds: tuple[int, ...]
    resolution: int
    speed: SpeedSpec
    device: str = "auto"

    @property
    def metric(self) -> str:
        """The metric of a run's record that this time stands for."""
        return METRIC[self.scenario]

    @property
    def title(self) -> str:
        """For people: ``gan offline 64``."""
        return f"{self.model} {scenario_title(self.scenario, self.batch_size)}"

    def job(self, card: Path, timings: Path) -> TimingJob:
        """Returns what one process is told."""
        return TimingJob(
            card=str(card),
            scenario=self.scenario,
            batch_size=self.batch_size,
            prompts=self.prompts,
            seeds=self.seeds,
            resolution=self.resolution,
            warmup_calls=self.speed.warmup_calls,
            min_calls=self.speed.min_calls,
            min_seconds=self.speed.min_seconds,
            device=self.device,
            timings=str(timings),
        )


def scenario_title(scenario: Scenario, batch_size: int) -> str:
    """Returns ``single-stream``, or ``offline 64``."""
    return "single-stream" if scenario == "single_stream" else f"{scenario} {batch_size}"


def case_of(
    model: str, protocol: Protocol, scenario: Scenario, batch_size: int | None = None, device: str = "auto"
) -> Case:
    """Returns the case of a model under a protocol, with the prompts and seeds that its runs are timed with.

    Args:
        batch_size: for "offline"; None is the protocol's own. "single_stream" has batch 1.

    Raises:
        UserError: the protocol times nothing, or the batch size is impossible.
    """
    if protocol.speed is None:
        raise UserError(f'the protocol "{protocol.name}" times nothing: it has no table [speed].')
    size = 1 if scenario == "single_stream" else protocol.batch_size if batch_size is None else batch_size
    if size < 1 or (scenario == "single_stream" and batch_size not in (None, 1)):
        raise UserError(f"{scenario} cannot be timed at batch size {batch_size}.", where="--batch-size")
    entries = next(iter(plan(protocol, 0).values()))
    return Case(
        model=model,
        scenario=scenario,
        batch_size=size,
        prompts=tuple(entry.prompt for entry in entries),
        seeds=tuple(entry.seed for entry in entries),
        resolution=protocol.resolution,
        speed=protocol.speed,
        device=device,
    )
