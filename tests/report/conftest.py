"""Synthetic run folders: what a run leaves behind, with the odd things that a report must survive."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trilemma.data import scenes
from trilemma.store.tables import SAMPLES, TIMINGS, write_rows

EVIL = '<script>alert(1)</script> & "a red star"'
CONTESTANTS = {"gan": (6.1, 4.2, 9.6), "var": (7.4, 7.9, 6.3), "ldm": (7.0, 8.3, 4.1), "vqar": (6.6, 7.6, None)}
CONTROLS = {"real": (9.9, 10.0, 7.0), "reduced": (0.0, 8.8, 7.0), "mode-drop": (9.1, 2.9, 7.1), "memorizer": None}
WITHHELD = "copy rate 0.98 is above what held-out real images show (0.003)"
PROTOCOL = {
    "name": "scenes", "version": 1, "title": "Scenes at 32x32", "resolution": 32,
    "sets": [{"name": "prompted", "images": 2048}, {"name": "unconditional", "images": 2048}],
    "reference": {"images": 10000},
}  # fmt: skip
NO_WEIGHTS = "the weights of Inception are not at hand"


def row(model: str, metric: str, value: float | None, **other: Any) -> dict[str, Any]:
    """Returns one measurement as ``metrics.jsonl`` holds it."""
    base = {
        "run_id": "r", "model": model, "set": "prompted", "metric": metric, "metric_version": 1, "series": "s",
        "extractor": "scenes-features", "value": value, "unit": "", "direction": "higher", "n": 2048,
        "n_reference": 10000, "se": None, "se_method": None, "ci": None, "ci_level": 0.95, "status": "ok",
        "reason": None, "params": {},
    }  # fmt: skip
    return base | other


def score(model: str, axis: str, value: float | None, reason: str | None, status: str) -> dict[str, Any]:
    """Returns a score with a standard error of 0.12."""
    if value is None:
        return row(model, f"score_{axis}", None, status=status, reason=reason, set="")
    return row(model, f"score_{axis}", value, se=0.12, ci=[value - 0.24, value + 0.24], set="")


def model_rows(model: str, values: tuple[float | None, ...] | None) -> Iterator[dict[str, Any]]:
    """Yields the scores and a handful of raw measurements of a model; None as values means withheld."""
    axes = ("quality", "diversity", "speed")
    for axis, value in zip(axes, values or (None, None, None), strict=True):
        reason = WITHHELD if values is None else "timing was interrupted"
        yield score(model, axis, value, reason, "withheld" if values is None else "skipped")
    speed = values[2] if values else None
    yield score(model, "speed_batch1", speed and speed - 1, "timing was interrupted", "skipped")
    quality = (values or (5.0,))[0] or 0.0
    yield row(model, "fd_scenes", 40.123456 * np.exp(-quality / 3), se=0.0234, direction="lower")
    yield row(model, "prompt_accuracy", 0.912345, se=0.0063)
    yield row(model, "fid", None, status="skipped", reason=NO_WEIGHTS, direction="lower", n=None)
    yield row(model, "modes", 498, unit="modes", set="unconditional")
    yield row(model, "mode_tv", 0.1234, se=0.0081, set="unconditional", direction="lower")
    yield row(model, "within_prompt_spread", 0.93, se=0.012, set="within_prompt")
    yield row(model, "latency_batch1", 0.01234, unit="s", set="", direction="lower", n=40)
    yield row(model, "parameters", 2_412_345, unit="parameters", set="", direction="none", n=None)
    yield row(model, "coverage_unconditional", 0.87654, se=0.011, set="unconditional")
    yield row(model, "peak_memory", 512 * 2**20, unit="bytes", direction="lower", set="", n=None)
    yield row(model, "evaluations_per_image", 16, direction="lower", set="")
    yield row(model, "kid", 1.23e-4, se=4.4e-5, direction="lower")
    if values and values[2]:
        yield row(model, "images_per_second", 812.3, unit="images/s", se=14.2, set="")


def write_images(folder: Path, models: list[str]) -> None:
    """Writes a grid of captioned images and one of images without prompts for every model, 2 rows of 4."""
    for model in models:
        (folder / "images" / model).mkdir(parents=True)
        captions = [EVIL, *scenes.captions("prompts", range(1, 8))]
        for name, texts in {"prompted": captions, "unconditional": [""] * 8}.items():
            tiles = scenes.images("reference", range(8))
            grid = np.concatenate([np.concatenate(list(line), axis=1) for line in (tiles[:4], tiles[4:])], axis=0)
            Image.fromarray(grid).save(folder / "images" / model / f"{name}.png")
            sidecar = json.dumps({"columns": 4, "prompts": texts})
            (folder / "images" / model / f"{name}.json").write_text(sidecar)


def write_timings(folder: Path, models: list[str]) -> None:
    """Writes the batch sweep of every model, three calls for each size, and the reference decoder beside it."""
    (folder / "timings").mkdir()
    for number, model in enumerate(models):
        rows = [
            {"model": model, "scenario": scenario, "batch_size": size, "call": call, "n_images": size,
             "wall_ns": int(1e6 * (number + 1) * (4 + size**0.8) * pace * (1 + call / 50)), "device": "cpu",
             "status": "ok"}
            for scenario, pace in (("offline", 1.0), ("reference_decoder", 0.02 / (number + 1)))
            for size in (1, 16, 64) for call in range(3)
        ]  # fmt: skip
        late = {"model": model, "scenario": "offline", "batch_size": 256, "device": "cpu", "status": "skipped",
                "reason": "would exceed the time budget"}  # fmt: skip
        write_rows(folder / "timings" / f"{model}.parquet", TIMINGS, [*rows, late])


def write_samples(folder: Path, model: str) -> None:
    """Writes three samples of a model, one of which failed."""
    (folder / "samples").mkdir()
    rows = [
        {"model": model, "set": "prompted", "prompt": EVIL, "status": "ok", "error": None},
        {"model": model, "set": "prompted", "prompt": "a star", "status": "error", "error": "out of <memory>"},
        {"model": model, "set": "prompted", "prompt": "a ring", "status": "ok", "error": None},
    ]
    write_rows(folder / "samples" / f"{model}.parquet", SAMPLES, rows)


def facts(models: list[str]) -> dict[str, Any]:
    """Returns ``run.json`` of a run in which the model ``broken`` crashed."""
    training = {"images_seen": 6_000_000, "device": "2 CPU cores", "curve": [0.61, 0.8, 0.88], "flops": 3.1e15}
    hardware = {"device": "cpu", "name": "Some <CPU> @ 2 GHz", "count": 2, "memory_gib": 8, "torch": "2.14.1"}
    cards = {
        name: {"name": name, "title": name.upper(), "description": f"A {name} & more.", "family": name,
               "control": name in CONTROLS, "parameters": 2_412_345, "knobs": {"steps": 8}, "licence": "Apache-2.0",
               "training": {} if name in CONTROLS else training}
        for name in models
    }  # fmt: skip
    keys = {
        kind: {"version": 1, "digest": letter * 64, "fields": hardware if kind == "hardware" else {}}
        for kind, letter in (("case", "c"), ("execution", "e"), ("hardware", "f"))
    }
    counts = {name: {"planned": 6144, "done": 6144, "failed": 0} for name in models}
    counts["broken"] = {"planned": 6144, "done": 640, "failed": 0}
    return {
        "schema": "trilemma.run/2", "run_id": "20270101T000000Z-abc123", "identity": "a" * 64, "status": "complete",
        "created": "2027-01-01T00:00:00Z", "ended": "2027-01-01T00:07:12Z",
        "spec": {"protocol": PROTOCOL, "samples": None, "seed": 0, "device": "cpu"},
        "models": {name: {"status": "done"} for name in models},
        "cards": cards,
        "keys": dict.fromkeys(models, keys), "counts": counts,
        "errors": {"broken": {"type": "RuntimeError", "message": "tensor <a> is lost", "traceback": "File x, line 1"}},
        "env": {"python": "3.12.1", "packages": {"torch": "2.14.1"}}, "tool": {"version": "0.1.0"},
        "host": {"cpu": "Some <CPU> @ 2 GHz", "cores": 2, "memory_gib": 8},
    }  # fmt: skip


def write_run(folder: Path, **changes: Any) -> Path:
    """Writes the whole synthetic run into an empty folder; ``changes`` replace entries of ``run.json``."""
    scored = CONTESTANTS | CONTROLS
    models = [*scored, "broken"]
    rows = [line for name, values in scored.items() for line in model_rows(name, values)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(facts(models) | changes))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in rows))
    write_images(folder, ["gan", "var", "real"])
    write_timings(folder, ["gan", "var", "ldm"])
    write_samples(folder, "gan")
    return folder


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run with a failed model, null metrics, a failed image and models without grids; not to be changed."""
    return write_run(tmp_path_factory.mktemp("report") / "run")


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Writes the synthetic run, with changed entries of ``run.json``, for a test that may do with it what it likes."""
    return lambda **changes: write_run(tmp_path / "changed", **changes)
