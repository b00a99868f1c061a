"""Two runs and the page of both, made up in seconds: to look at, and for the tests.

    python scripts/synthetic_comparison.py OUT

writes two run folders and the second one's comparison with the first. The images are real ones with a grain of the
version's own; the numbers are made up, with replicates by which they are paired.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trilemma.data import scenes
from trilemma.report import write_comparison
from trilemma.statistics.replicates import Replicates
from trilemma.statistics.standard_error import mean_se
from trilemma.store.digests import digests
from trilemma.store.layout import RunFolder
from trilemma.store.metric_rows import MetricRow, write_metrics
from trilemma.store.record import Record
from trilemma.store.replicates import write_replicates
from trilemma.store.sheets import write_sheets
from trilemma.store.tables import SAMPLES, write_rows
from trilemma.workspace import Workspace

RUN_A, RUN_B = "20270101-000000-aaaaaaaa", "20270102-000000-bbbbbbbb"
SET = "prompted"
SIDE = 32
IMAGES = 80
GROUPS = 20
GATED = ["fd_scenes", "recall", "clip_score", "latency_batch1", "parameters", "evaluations_per_image"]
WEIGHTS = "the weights of Inception are not at hand"


@dataclass(frozen=True, kw_only=True)
class Version:
    """A model as one run finds it.

    Attributes:
        distance, recall, clip: its numbers on the set of prompts.
        grain: how far its images lie from the real ones, in grey levels; salt: which grain it is.
        error: what ended it, before it had numbers.
    """

    distance: float = 10.0
    recall: float = 0.8
    clip: float = 30.0
    latency: float = 0.05
    grain: int = 6
    salt: int = 1
    control: bool = False
    error: str = ""


STEADY = Version()
MODELS_A: Mapping[str, Version] = {
    "gan": STEADY,
    "var": STEADY,
    "ldm": STEADY,
    "vqar": STEADY,
    "old": STEADY,
    "broken": STEADY,
    "real": Version(distance=1.0, recall=0.95, grain=0, control=True),
}
MODELS_B: Mapping[str, Version] = {
    "gan": Version(distance=10.6, recall=0.76, salt=2),
    "var": Version(distance=9.3, salt=3),
    "ldm": STEADY,
    "vqar": Version(grain=7, latency=0.06),
    "new": STEADY,
    "broken": Version(error="tensor <a> is lost"),
    "real": MODELS_A["real"],
}


def write_run(
    path: Path, models: Mapping[str, Version], *, prompts: Sequence[str] = (), kept: str = "all", **changes: Any
) -> Path:
    """Writes a complete run and returns its folder.

    Args:
        prompts: put in the place of the first captions.
        kept: "all" keeps the images.
        changes: entries of ``run.json``.
    """
    folder = RunFolder(path=path)
    texts = [*prompts, *scenes.captions("prompts", range(len(prompts), IMAGES))]
    seed = changes.get("spec", {}).get("seed", 0)
    rows = [row for name, one in models.items() for row in _write_model(folder, name, one, texts, seed, kept)]
    write_metrics(folder.metrics, rows)
    record = _record(path.name, models)
    for name, value in changes.items():
        old = getattr(record, name)
        setattr(record, name, {**old, **value} if isinstance(old, dict) else value)
    record.files = digests(folder)
    record.write(folder.record)
    return path


def write_pair(out: Path) -> tuple[Path, Path]:
    """Writes two runs whose machines and versions differ too, and returns their folders."""
    newer = {"python": "3.12.1", "packages": {"torch": "2.15.0", "numpy": "2.4.6"}}
    tool = {"git": "b" * 40, "dirty": True}
    return write_run(out / RUN_A, MODELS_A), write_run(out / RUN_B, MODELS_B, env=newer, tool=tool)


def _write_model(
    folder: RunFolder, name: str, one: Version, texts: Sequence[str], seed: int, kept: str
) -> list[MetricRow]:
    if one.error:
        return []
    images = _images(one)
    if kept == "all":
        write_sheets(folder.sheets(name), SIDE, {SET: (IMAGES, images)})
    share = _share(one)
    clip = one.clip + share - share.mean()
    rows = [
        {"model": name, "set": SET, "key": f"{i:016x}", "prompt_id": f"prompts-{i}", "index": 0, "prompt": text,
         "seed": 2**62 + 1000 * seed + i, "status": "ok", "image_sha256": hashlib.sha256(pixels.tobytes()).hexdigest(),
         "clip_score": float(clip[i])}
        for i, (text, pixels) in enumerate(zip(texts, images, strict=True))
    ]  # fmt: skip
    write_rows(folder.samples(name), SAMPLES, rows)
    sources = {
        "fd_scenes": (Replicates(kind="influence", values_U=10 * (share - share.mean())),),
        "recall": (Replicates(kind="left_out", values_U=one.recall - _groups(share), cut=str(GROUPS)),),
    }
    write_replicates(folder.replicates(name), sources)
    return _rows(folder.path.name, name, one, clip, sources)


def _images(one: Version) -> Any:
    real = scenes.images("prompts", range(IMAGES), SIDE).astype(np.int16)
    rng = np.random.default_rng(one.salt)
    grain = rng.uniform(-1, 1, real.shape) * np.linspace(0.5, 1.5, IMAGES)[:, None, None, None]
    return np.clip(real + np.rint(one.grain * grain), 0, 255).astype(np.uint8)


def _share(one: Version) -> Any:
    """What an image adds to a number: mostly the prompt's doing, a little the version's."""
    own = np.random.default_rng(100 + one.salt).normal(size=IMAGES)
    return np.random.default_rng(0).normal(size=IMAGES) + 0.01 * (own - own.mean())


def _groups(share: Any) -> Any:
    return share.reshape(GROUPS, -1).mean(axis=1) / 200


def _rows(run_id: str, name: str, one: Version, clip: Any, sources: Mapping[str, Any]) -> list[MetricRow]:
    about: dict[str, Any] = {"run_id": run_id, "model": name}
    drawn: dict[str, Any] = about | {"set": SET, "n": IMAGES, "extractor": "features:f"}
    error = {metric: source[0].error().se for metric, source in sources.items()}
    return [
        MetricRow(metric="fd_scenes", value=one.distance, se=error["fd_scenes"], direction="lower", **drawn),
        MetricRow(metric="recall", value=one.recall, se=error["recall"], direction="higher", **drawn),
        MetricRow(metric="clip_score", value=float(clip.mean()), se=mean_se(clip), unit="100·cos", direction="higher",
                  **drawn),
        MetricRow(metric="fid", status="skipped", reason=WEIGHTS, direction="lower", **drawn),
        MetricRow(metric="latency_batch1", value=one.latency, se=one.latency / 100, unit="s", n=40, direction="lower",
                  **about),
        MetricRow(metric="parameters", value=2_412_345.0, unit="parameters", **about),
        MetricRow(metric="evaluations_per_image", value=1.0, unit="evaluations", direction="lower", **about),
    ]  # fmt: skip


def _record(run_id: str, models: Mapping[str, Version]) -> Record:
    entry = {"name": SET, "prompts": "captions", "split": "prompts", "images": IMAGES}
    protocol = {
        "name": "synthetic", "version": 1, "title": "Made up at 32x32", "resolution": SIDE, "batch_size": 64,
        "sets": [entry],
        "extractors": {"features": "none", "reader": "none", "clip": "none"}, "reference": {"images": 160},
        "metrics": [*GATED, "fid"], "gate": {"metrics": GATED},
    }  # fmt: skip
    hardware = {"device": "cpu", "name": "a CPU", "count": 2, "memory_gib": 24, "torch": "2.14"}
    return Record(
        run_id=run_id,
        identity="0" * 64,
        created="2027-01-01T00:00:00Z",
        ended="2027-01-01T00:10:00Z",
        status="complete",
        spec={"protocol": protocol, "samples": None, "seed": 0, "device": "cpu", "models": []},
        tool={"name": "trilemma", "version": "0.1.0", "git": "a" * 40, "dirty": False},
        env={"python": "3.11.7", "packages": {"torch": "2.14.1", "numpy": "2.4.6"}},
        host={"cpu": "a CPU", "cores": 2, "memory_gib": 24},
        cards={name: {"name": name, "control": one.control} for name, one in models.items()},
        models={name: {"status": "failed" if one.error else "done"} for name, one in models.items()},
        keys={name: _keys(name, one, hardware) for name, one in models.items()},
        counts={
            name: {"planned": IMAGES, "done": 0 if one.error else IMAGES, "failed": 0} for name, one in models.items()
        },
        errors={
            name: {"type": "RuntimeError", "message": one.error, "traceback": "File x, line 1"}
            for name, one in models.items()
            if one.error
        },
    )


def _keys(name: str, one: Version, hardware: dict[str, Any]) -> dict[str, Any]:
    revision = hashlib.sha256(repr(one).encode()).hexdigest()
    fields = {
        "case": {"model": name, "revision": revision, "knobs": {}, "dtype": "float32"},
        "execution": {"threads": 2},
        "hardware": hardware,
    }
    return {kind: {"version": 1, "digest": kind, "fields": own} for kind, own in fields.items()}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    print(write_comparison(*write_pair(folder), Workspace(root=folder, results=folder)))
