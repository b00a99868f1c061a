"""What the suite adds to a model: ``.venv/bin/python -m pytest benchmarks/perf/bench_overhead.py -s``.

In one process and over the same images: bare ``generate``, bare measuring, and the runner's whole way from the first
call to the stored files, in turn. The median of the turns' ratios is printed with all of them and the goal beside it;
what is asserted is that all was stored.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from trilemma import protocols, registry
from trilemma.features.measure import Instruments, load_instruments
from trilemma.generator import Generator, resolve_knobs
from trilemma.protocol import Protocol
from trilemma.runner.channel import Channel
from trilemma.runner.job import Instrumentation, Job
from trilemma.runner.model import draw_all
from trilemma.runner.plan import Planned, batches, plan
from trilemma.store.layout import RunFolder
from trilemma.store.tables import SAMPLES, read_table
from trilemma.workspace import find_workspace

if TYPE_CHECKING:
    from conftest import Sizes

WORKSPACE = find_workspace(start=Path(__file__).parent)
PROTOCOL = protocols.find_protocol("scenes", WORKSPACE)
GOAL = 1.15
TURNS, TURNS_OF_FAST = 3, 5
FAST = 20.0  # seconds that a turn of a fast model takes at most


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A loaded model and the networks that measure, warmed up."""

    job: Job
    generator: Generator
    knobs: dict[str, Any]
    instruments: Instruments
    channel: Channel

    def bare(self, entries: Sequence[Planned]) -> tuple[float, float]:
        """Returns the seconds of generating and of measuring, without anything else."""
        generating = measuring = 0.0
        for _, chosen in batches(entries, self.job.protocol.batch_size):
            prompts, seeds = [entry.prompt for entry in chosen], [entry.seed for entry in chosen]
            start = time.perf_counter()
            images = self.generator.generate(prompts, seeds, **self.knobs).cpu()
            middle = time.perf_counter()
            self.instruments.measure(images, prompts)
            generating, measuring = generating + middle - start, measuring + time.perf_counter() - middle
        return generating, measuring

    def whole(self, entries: list[Planned], turn: int) -> float:
        """Returns the seconds of the runner's way over the same images, stored in a folder for each turn."""
        folder = RunFolder(path=self.job.folder.path / str(turn))
        sets = {entries[0].set: entries}
        job = replace(self.job, folder=folder)
        seconds = draw_all(job, self.generator, self.knobs, self.instruments, sets, self.channel)
        assert len(read_table(folder.samples(job.name), SAMPLES)) == len(entries)
        return seconds


@pytest.mark.benchmark(group="overhead")
@pytest.mark.parametrize("name", PROTOCOL.models)
def test_overhead(benchmark: Any, sizes: Sizes, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench = prepared(name, PROTOCOL, tmp_path)
    entries = plan(bench.job.protocol, 0, sizes.images)[PROTOCOL.sets[0].name]
    turns = TURNS_OF_FAST if sum(bench.bare(entries)) < FAST / 2 else TURNS
    spent: list[tuple[float, float, float]] = []
    benchmark.pedantic(lambda: spent.append((*bench.bare(entries), bench.whole(entries, len(spent)))), rounds=turns)
    generating, measuring, whole = (statistics.median(part) for part in zip(*spent, strict=True))
    ratios = [whole / (generating + measuring) for generating, measuring, whole in spent]
    ratio = statistics.median(ratios)
    benchmark.extra_info |= {"overhead": ratio, "generate": generating, "measure": measuring, "whole": whole}
    with capsys.disabled():
        parts = f"generate {generating:.2f} s, measure {measuring:.2f} s, whole {whole:.2f} s"
        each = ", ".join(f"{ratio:.2f}" for ratio in sorted(ratios))
        print(f"\n{name}, N = {len(entries):,}: {ratio:.3f} of {each}; the goal is {GOAL} ({parts})")


def prepared(name: str, protocol: Protocol, folder: Path) -> Bench:
    device = "cuda" if _has_cuda() else "cpu"
    card = registry.find_card(name, WORKSPACE)
    generator = registry.load(card, device)
    job = Job(
        kind="model",
        folder=RunFolder(path=folder),
        protocol=replace(protocol, speed=None),
        card=card,
        seed=0,
        samples=None,
        device=device,
        instruments=Instrumentation(),
        identity={},
        cache=folder,
    )
    return Bench(
        job=job,
        generator=generator,
        knobs=resolve_knobs(generator.info.knobs, {}),
        instruments=load_instruments(protocol, device),
        channel=Channel((folder / "messages").open("w", encoding="utf-8")),
    )


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()
