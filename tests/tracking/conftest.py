"""Runs on disk without models: records, numbers, sample rows and replicates as a real run leaves them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trilemma.statistics.replicates import Replicates
from trilemma.statistics.standard_error import mean_se
from trilemma.store.digests import digests
from trilemma.store.layout import RunFolder
from trilemma.store.metric_rows import MetricRow, write_metrics
from trilemma.store.record import Record
from trilemma.store.replicates import write_replicates
from trilemma.store.run import Run
from trilemma.store.tables import SAMPLES, write_rows

IMAGES = 400
PROTOCOL = {"name": "scenes", "version": 1, "resolution": 32, "batch_size": 64, "sets": [{"name": "prompted"}]}
HARDWARE = {"device": "cpu", "name": "a CPU", "count": 2, "memory_gib": 24, "torch": "2.14"}
NOISE = np.random.default_rng(0).normal(size=IMAGES)


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a made-up run of the model "gan" measures.

    Attributes:
        distance, recall: of set "prompted". clip: the mean CLIP score; images scatter about it.
        jitter: how much each image's share differs from that of another run with the same noise.
        version: of the images: two runs of one version have the same ones.
    """

    run_id: str = "20260101-000000-aaaaaaaa"
    distance: float = 10.0
    recall: float = 0.8
    clip: float = 30.0
    jitter: float = 0.01
    version: str = "1"
    latency: float = 0.050
    rate: float = 100.0
    parameters: float = 2e6
    seed: int = 0
    hardware: dict[str, Any] = field(default_factory=lambda: dict(HARDWARE))
    status: str = "complete"
    knobs: dict[str, Any] = field(default_factory=dict)


class Maker:
    """Writes runs below a folder."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs

    def run(self, **values: Any) -> Run:
        """Writes a run and returns it."""
        made = Made(**values)
        folder = RunFolder(path=self.runs / made.run_id)
        own = np.random.default_rng([ord(letter) for letter in made.run_id + made.version]).normal(size=IMAGES)
        share = NOISE + made.jitter * (own - own.mean())
        clip = made.clip + share - share.mean()
        _samples(folder, made, clip)
        sources = {"fd_scenes": _influence(share), "recall": _left_out(made, share)}
        write_replicates(folder.replicates("gan"), sources)
        write_metrics(folder.metrics, _rows(made, clip, sources))
        _record(folder, made)
        return Run(folder.path)

    def sessions(self, count: int, first: int = 1, **values: Any) -> list[Run]:
        """Writes several runs whose times scatter by a percent."""
        rng = np.random.default_rng(first)
        latency, rate = values.pop("latency", 0.050), values.pop("rate", 100.0)
        return [
            self.run(
                run_id=f"2026010{first}-00000{index}-aaaaaaaa",
                latency=latency * float(np.exp(0.005 * rng.normal())),
                rate=rate * float(np.exp(0.005 * rng.normal())),
                **values,
            )
            for index in range(count)
        ]

    def edit(self, run: Run, name: str, **changes: Any) -> Run:
        """Changes a row of a finished run, and its digests with it, as if it had been measured so."""
        write_metrics(run.folder.metrics, [replace(r, **changes) if r.metric == name else r for r in run.rows])
        return self.sealed(run)

    def sealed(self, run: Run) -> Run:
        """Takes the digests of a run's files anew."""
        record = Run(run.folder.path).record
        record.files = digests(run.folder)
        record.write(run.folder.record)
        return Run(run.folder.path)


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    """Writes runs where a workspace keeps them."""
    return Maker(tmp_path / "results" / "runs")


def _record(folder: RunFolder, made: Made) -> None:
    case = {"model": "gan", "revision": made.version * 64, "knobs": made.knobs, "dtype": "float32"}
    record = Record(
        run_id=made.run_id,
        identity="i",
        created="2026-01-01T00:00:00.000+00:00",
        spec={"protocol": PROTOCOL, "seed": made.seed, "samples": None, "models": [], "device": "auto"},
        status=made.status,  # type: ignore[arg-type]
        tool={"name": "trilemma", "version": "0.1.0", "git": "0" * 40, "dirty": False},
        cards={"gan": {"control": False}},
        models={"gan": {"status": "done"}},
        keys={
            "gan": {
                "case": {"version": 1, "digest": made.version, "fields": case},
                "execution": {"version": 1, "digest": "e", "fields": {"threads": 2}},
                "hardware": {"version": 1, "digest": str(made.hardware), "fields": made.hardware},
            }
        },
        counts={"gan": {"planned": IMAGES, "done": IMAGES, "failed": 0}},
        files=digests(folder),
    )
    record.write(folder.record)


def _samples(folder: RunFolder, made: Made, clip: np.ndarray) -> None:
    rows = [
        {
            "model": "gan",
            "set": "prompted",
            "key": f"key-{made.seed}-{index}",
            "index": index,
            "seed": index,
            "status": "ok",
            "image_sha256": hashlib.sha256(f"{made.version}-{made.seed}-{index}".encode()).hexdigest(),
            "clip_score": float(clip[index]),
        }
        for index in range(IMAGES)
    ]
    write_rows(folder.samples("gan"), SAMPLES, rows)


def _influence(share: np.ndarray) -> tuple[Replicates, ...]:
    return (Replicates(kind="influence", values_U=10 * (share - share.mean())),)


def _left_out(made: Made, share: np.ndarray) -> tuple[Replicates, ...]:
    groups = share.reshape(20, -1).mean(axis=1) / 200
    return (Replicates(kind="left_out", values_U=made.recall - groups, cut="20"),)


def _rows(made: Made, clip: np.ndarray, sources: dict[str, tuple[Replicates, ...]]) -> list[MetricRow]:
    sampled: dict[str, Any] = {"set": "prompted", "n": IMAGES, "extractor": "features:f"}
    errors = {name: source[0].error() for name, source in sources.items()}
    values = {
        "fd_scenes": (made.distance, errors["fd_scenes"].se, "influence", "", "lower", sampled),  # type: ignore[union-attr]
        "recall": (made.recall, errors["recall"].se, "group_jackknife", "", "higher", sampled),  # type: ignore[union-attr]
        "clip_score": (float(clip.mean()), mean_se(clip), "mean", "100·cos", "higher", sampled),
        "latency_batch1": (made.latency, made.latency / 100, "calls", "s", "lower", {}),
        "images_per_second": (made.rate, made.rate / 100, "calls", "images/s", "higher", {}),
        "parameters": (made.parameters, None, "none", "parameters", "none", {}),
        "evaluations_per_image": (1.0, None, "none", "evaluations", "lower", {}),
    }
    return [
        MetricRow(
            run_id=made.run_id,
            model="gan",
            metric=metric,
            value=value,
            se=se,
            se_method=how,
            unit=unit,
            direction=direction,
            **others,  # type: ignore[arg-type]
        )
        for metric, (value, se, how, unit, direction, others) in values.items()
    ]
