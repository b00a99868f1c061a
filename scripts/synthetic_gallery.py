"""A run as large as you like, to look at its page: drawn from the renderer in seconds, without any model.

    python scripts/synthetic_gallery.py OUT [MODELS [IMAGES]]

writes a run folder and its report. Every model's images are real ones with a grain of their own; the influence values
and distances to training images are made up.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trilemma.data import scenes
from trilemma.report import write_report
from trilemma.statistics.replicates import Replicates
from trilemma.store.arrays import read_arrays
from trilemma.store.atomic import write_arrays
from trilemma.store.layout import RunFolder
from trilemma.store.metric_rows import MetricRow, write_metrics
from trilemma.store.record import Record
from trilemma.store.replicates import write_replicates
from trilemma.store.sheets import write_sheets
from trilemma.store.tables import SAMPLES, write_rows

SET = "prompted"
SIDE = 32
THRESHOLD = 9.0
SUSPECTS = 0.01


def write_synthetic(path: Path, *, models: int, images: int, prompts: Sequence[str] = ()) -> Path:
    """Writes a complete run without timings and returns its folder.

    Args:
        models: how many there are; the last is a control.
        images: of each model.
        prompts: put in the place of the first captions.
    """
    folder, names = RunFolder(path=path), [f"model-{number}" for number in range(models)]
    texts = [*prompts, *scenes.captions("prompts", range(len(prompts), images))]
    real = scenes.images("prompts", range(images), SIDE).astype(np.int16)
    for number, name in enumerate(names):
        _write_model(folder, name, texts, real, np.random.default_rng(number))
    write_metrics(folder.metrics, [row for name in names for row in _rows(folder, name, images)])
    _record(folder, names, images).write(folder.record)
    return path


def _write_model(folder: RunFolder, name: str, texts: list[str], real: Any, rng: np.random.Generator) -> None:
    grain = rng.integers(-6, 7, (len(texts), SIDE, SIDE, 1))
    drawn = np.clip(real + grain, 0, 255).astype(np.uint8)
    write_sheets(folder.sheets(name), SIDE, {SET: (len(texts), drawn)})
    rows = [
        {"model": name, "set": SET, "key": f"{i:016x}", "prompt_id": f"prompts-{i}", "index": 0, "seed": 2**62 + i,
         "prompt": text, "status": "ok"}
        for i, text in enumerate(texts)
    ]  # fmt: skip
    write_rows(folder.samples(name), SAMPLES, rows)
    values = rng.normal(size=len(texts))
    write_replicates(
        folder.replicates(name), {"score_quality": (Replicates(kind="influence", values_U=values - values.mean()),)}
    )
    distances = np.where(rng.uniform(size=len(texts)) < SUSPECTS, 5.0, 20.0)
    nearest = rng.integers(scenes.TRAIN_IMAGES, size=len(texts))
    write_arrays(folder.copies(name), {"distance": distances, "nearest": nearest})


def _rows(folder: RunFolder, name: str, images: int) -> list[MetricRow]:
    rate = float((read_arrays(folder.copies(name))["distance"] < THRESHOLD).mean())
    about: dict[str, Any] = {"run_id": folder.path.name, "model": name, "n": images}
    copies = MetricRow(metric="copy_rate", set=SET, value=rate, params={"threshold": THRESHOLD}, **about)
    scores = [
        MetricRow(metric=f"score_{axis}", value=5.0, se=0.1, ci=(4.8, 5.2), unit="of 10", **about)
        for axis in ("quality", "diversity", "speed", "speed_batch1")
    ]
    return [*scores, copies]


def _record(folder: RunFolder, names: list[str], images: int) -> Record:
    sets = [{"name": SET, "images": images}]
    reference = {"training_split": "train"}
    protocol = {"name": "synthetic", "version": 1, "data": "scenes", "resolution": SIDE, "sets": sets}
    return Record(
        run_id=folder.path.name,
        identity="0" * 64,
        created="2027-01-01T00:00:00Z",
        ended="2027-01-01T00:10:00Z",
        status="complete",
        spec={"protocol": protocol | {"reference": reference}, "samples": None, "seed": 0, "device": "cpu"},
        cards={name: {"name": name, "control": name == names[-1]} for name in names},
        models={name: {"status": "done"} for name in names},
        counts={name: {"planned": images, "done": images, "failed": 0} for name in names},
    )


if __name__ == "__main__":
    models, images = (int(text) for text in (*sys.argv[2:4], *("10", "4000")[len(sys.argv) - 2 :]))
    print(write_report(write_synthetic(Path(sys.argv[1]), models=models, images=images)))
