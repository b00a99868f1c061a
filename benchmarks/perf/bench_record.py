"""Writing and reading one run's record; ``bench_store.py`` reads a thousand of them.

At full size 96 batches of 64 images: a model under the protocol "scenes".
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from trilemma import protocols, registry
from trilemma.data import scenes
from trilemma.runner.job import Instrumentation, Job
from trilemma.runner.plan import Planned, plan
from trilemma.runner.storing import Drawn, store_batch
from trilemma.store.layout import RunFolder
from trilemma.store.metric_rows import read_metrics, write_metrics
from trilemma.store.parts import consolidate, part_path
from trilemma.store.record import read_record
from trilemma.store.run import Run
from trilemma.workspace import find_workspace

if TYPE_CHECKING:
    from conftest import Sizes

CHECKOUT = Path(__file__).resolve().parents[2]
REFERENCE = min(CHECKOUT.glob("results/reference/*/run.json")).parent
Benchmark = Callable[..., Any]


def job(folder: Path) -> Job:
    workspace = find_workspace(start=CHECKOUT)
    return Job(
        kind="model",
        folder=RunFolder(path=folder),
        protocol=protocols.find_protocol("scenes", workspace),
        card=registry.find_card("gan", workspace),
        seed=0,
        samples=None,
        device="cpu",
        instruments=Instrumentation(),
        identity={},
        cache=folder,
    )


def batch(entries: list[Planned], size: int) -> Drawn:
    """As the instruments of Scenes measure it."""
    rng = np.random.default_rng(0)
    images = torch.from_numpy(scenes.images("reference", range(size))).permute(0, 3, 1, 2)
    arrays = {"features": 128, "logits": 24, "thumbnails": 768}
    measured = {name: rng.random((size, width), dtype=np.float32) for name, width in arrays.items()}
    scalars = {name: rng.random(size) for name in ("read_x", "read_y", "residual", "clip_score")}
    made = {"t_start": 0.0, "t_end": 1.0, "t_measured": 2.0, "evaluations": 1.0, "attempt": 1, "worker": 1}
    return Drawn(chosen=entries[:size], images=images, measured={**measured, **scalars}, made=made)


@pytest.fixture(scope="module")
def stored(sizes: Sizes, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """All batches of a model, not put together yet."""
    made = job(tmp_path_factory.mktemp("record"))
    drawn = batch(plan(made.protocol, 0)["prompted"], sizes.batch)
    for number in range(sizes.batches):
        store_batch(made, number, drawn, frozenset())
    return made


@pytest.mark.benchmark(group="writing the record")
def test_one_batch(benchmark: Benchmark, stored: Job, sizes: Sizes, tmp_path: Path) -> None:
    here = replace(stored, folder=RunFolder(path=tmp_path))
    drawn = batch(plan(here.protocol, 0)["prompted"], sizes.batch)
    numbers = itertools.count()
    benchmark(lambda: store_batch(here, next(numbers), drawn, frozenset()))
    assert part_path(here.folder, "gan", "prompted", 0).is_file()


@pytest.mark.benchmark(group="writing the record")
def test_putting_the_batches_together(benchmark: Benchmark, stored: Job, sizes: Sizes) -> None:
    benchmark(consolidate, stored.folder, "gan", [("prompted", number) for number in range(sizes.batches)])
    assert stored.folder.samples("gan").is_file()


@pytest.mark.benchmark(group="writing the record")
def test_metrics(benchmark: Benchmark, tmp_path: Path) -> None:
    rows = Run(REFERENCE).rows
    benchmark(write_metrics, tmp_path / "metrics.jsonl", rows)
    assert read_metrics(tmp_path / "metrics.jsonl") == rows


@pytest.mark.benchmark(group="writing the record")
def test_run_json(benchmark: Benchmark, tmp_path: Path) -> None:
    record = read_record(REFERENCE / "run.json")
    benchmark(record.write, tmp_path / "run.json")
    assert read_record(tmp_path / "run.json").run_id == record.run_id


@pytest.fixture(scope="module")
def whole(stored: Job, sizes: Sizes) -> Run:
    """The committed run's record, with the samples and features of the batches beside it."""
    consolidate(stored.folder, "gan", [("prompted", number) for number in range(sizes.batches)])
    for name in ("run.json", "metrics.jsonl"):
        shutil.copy(REFERENCE / name, stored.folder.path / name)
    return Run(stored.folder.path)


@pytest.mark.benchmark(group="reading the record")
def test_reading_samples(benchmark: Benchmark, whole: Run, sizes: Sizes) -> None:
    assert len(benchmark(whole.samples, "gan")) == sizes.batch * sizes.batches


@pytest.mark.benchmark(group="reading the record")
def test_reading_features(benchmark: Benchmark, whole: Run, sizes: Sizes) -> None:
    assert len(benchmark(whole.features, "gan")["features"]) == sizes.batch * sizes.batches


@pytest.mark.benchmark(group="reading the record")
def test_reading_metrics(benchmark: Benchmark, whole: Run) -> None:
    assert benchmark(read_metrics, whole.folder.metrics)


@pytest.mark.benchmark(group="reading the record")
def test_reading_run_json(benchmark: Benchmark, whole: Run) -> None:
    assert benchmark(read_record, whole.folder.record).models
