"""What a worker that only times a model is told: the one file that two versions of this suite must both understand.

So it holds nothing that a version computes from another: prompts and seeds as they are, and paths. A change of its
fields needs a new JOB_VERSION.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from trilemma.errors import UserError
from trilemma.protocol import SpeedSpec
from trilemma.store.atomic import write_json
from trilemma.strict_toml import build, dump

JOB_VERSION = 1
Scenario = Literal["single_stream", "offline"]
SCENARIOS: tuple[Scenario, ...] = get_args(Scenario)


@dataclass(frozen=True, kw_only=True)
class TimingJob:
    """One process's work: a model's calls at one batch size.

    Attributes:
        card: a ``card.toml``, or a folder with one or with a diffusers pipeline.
        prompts, seeds: equally many; calls go through them in turn, and at their end start again with other seeds.
        resolution: of the images that the model must return.
        warmup_calls: before the clock starts. min_calls, min_seconds: the clock stops when both are reached.
        timings: the Parquet file that is to be written, one row per call.
    """

    job: int = JOB_VERSION
    kind: Literal["timing"] = "timing"
    card: str
    scenario: Scenario
    batch_size: int
    prompts: tuple[str, ...]
    seeds: tuple[int, ...]
    resolution: int
    warmup_calls: int
    min_calls: int
    min_seconds: float
    device: str
    timings: str

    @property
    def speed(self) -> SpeedSpec:
        """How long to time, as a protocol says it."""
        return SpeedSpec(
            batch_sizes=(self.batch_size,),
            warmup_calls=self.warmup_calls,
            min_calls=self.min_calls,
            min_seconds=self.min_seconds,
        )

    def write(self, path: Path) -> Path:
        """Puts the job at ``path`` and returns it."""
        write_json(path, dump(self))
        return path


def timing_job(stored: dict[str, Any], *, where: str) -> TimingJob:
    """Returns the job of a parsed file; raises UserError for one of another version, or with other fields."""
    if stored.get("job") != JOB_VERSION:
        raise UserError(f"timing jobs of version {stored.get('job')} are not known here, only {JOB_VERSION}.")
    return build(TimingJob, stored, where=where)
