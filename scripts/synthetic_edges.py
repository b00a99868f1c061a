"""Runs at the edge of what a report has to show, written in moments and without any model.

    python scripts/synthetic_edges.py OUT [NAME ...]

writes the runs of :data:`EDGES` into OUT, a folder each, with their reports. Numbers are made up, of the right size.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from trilemma.report import write_report
from trilemma.store.layout import RunFolder
from trilemma.store.metric_rows import MetricRow, write_metrics
from trilemma.store.record import Record, RunStatus
from trilemma.store.tables import SAMPLES, TIMINGS, write_rows

SETS = ("prompted", "unconditional", "within_prompt")
BATCH = 16
SIZES = (1, 16, 64, 256)
FAMILIES = ("gan", "vqar", "var", "diffusers")
TOO_FEW = "needs at least 129 samples; there are {n}"
LOST = {"type": "OutOfMemoryError", "message": "needs 3.1 GiB, 0.4 are left", "traceback": "File model.py, line 7"}
BUSY = "another process took 1.4 cores meanwhile"
FULL = "CUDA out of memory. Tried to allocate 2.00 GiB"
_QUALITY = ("fd_scenes", "kid", "precision", "density", "clip_score", "prompt_accuracy", "residual")
_DIVERSITY = ("recall", "coverage", "coverage_unconditional", "modes", "mode_tv", "within_prompt_spread", "copy_rate")
_LOWER = ("fd_scenes", "kid", "residual", "mode_tv", "copy_rate", "latency_batch1", "load_seconds", "flops_per_image")


def long_names(number: int) -> tuple[str, ...]:
    """Returns names as variants have them: alike at the beginning, and longer than any figure has room for."""
    kinds = (
        "gan@truncation={0}",
        "var@guidance_scale={0}+top_k=900",
        "ldm@guidance_scale={0}+num_inference_steps=25+bf16",
    )
    return tuple(kinds[place % 3].format(round(0.5 + 0.1 * place, 1)) for place in range(number))


@dataclass(frozen=True, kw_only=True)
class Edge:
    """One run.

    Attributes:
        failed: models that failed before their first image. begun: models that have a third of their images.
        images: of each set. timed: whether the protocol asks for times. times: whether there are any.
        measured: whether numbers were computed.
        resolutions: of models that are only timed, in two fresh processes each.
    """

    models: tuple[str, ...] = ("gan", "var", "ldm")
    controls: tuple[str, ...] = ("real",)
    failed: tuple[str, ...] = ()
    begun: tuple[str, ...] = ()
    images: int = 48
    timed: bool = True
    times: bool = True
    measured: bool = True
    status: RunStatus = "complete"
    resolutions: dict[str, int] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """All models, controls and those that failed included."""
        return (*self.models, *self.begun, *self.failed, *self.controls)


_RESOLUTIONS = {"var": 32, "var-d16": 256, "ldm": 32, "sd-1-5": 512}
EDGES = {
    "failed-model": Edge(models=("gan", "ldm"), failed=("var",)),
    "all-failed": Edge(models=(), failed=("gan", "var"), controls=(), status="failed"),
    "one-model": Edge(models=("gan",), controls=()),
    "only-controls": Edge(models=(), controls=("real", "noisy")),
    "thirty-models": Edge(models=long_names(30)),
    "few-images": Edge(images=8),
    "no-timing": Edge(timed=False, times=False),
    "timing-failed": Edge(times=False),
    "unfinished": Edge(models=("gan",), begun=("var",), measured=False, status="started"),
    "no-samples": Edge(images=0, times=False),
    "no-models": Edge(models=(), controls=(), measured=False, status="cancelled"),
    "speed": Edge(models=tuple(_RESOLUTIONS), controls=(), resolutions=_RESOLUTIONS),
}


def write_edge(path: Path, edge: Edge) -> Path:
    """Writes a run and returns its folder."""
    folder = RunFolder(path=path)
    path.mkdir(parents=True, exist_ok=True)
    _record(folder, edge).write(folder.record)
    for number, model in enumerate(edge.names):
        if model not in edge.failed and not edge.resolutions:
            _write_samples(folder, model, edge)
        if edge.timed and (edge.times or model == edge.names[0]) and model not in edge.failed:
            write_rows(folder.timings(model), TIMINGS, list(_timings(model, number, edge)))
    if edge.measured:
        write_metrics(
            folder.metrics, [row for number, name in enumerate(edge.names) for row in _rows(name, number, edge)]
        )
    return path


def _record(folder: RunFolder, edge: Edge) -> Record:
    planned = 0 if edge.resolutions else len(SETS) * edge.images
    done = (
        {name: planned for name in edge.names}
        | {name: planned // 3 for name in edge.begun}
        | dict.fromkeys(edge.failed, 0)
    )
    protocol: dict[str, Any] = {"name": "edge", "version": 1, "title": "At the edge", "resolution": 32}
    protocol["sets"] = [{"name": name, "images": edge.images} for name in SETS if edge.images]
    protocol |= {"speed": {"batch_sizes": list(SIZES)}} if edge.timed else {}
    return Record(
        run_id=folder.path.name,
        identity="0" * 64,
        created="2027-01-01T00:00:00Z",
        ended=None if edge.status == "started" else "2027-01-01T00:10:00Z",
        status=edge.status,
        spec={"protocol": protocol, "samples": None, "seed": 0, "device": "cpu"}
        | ({"speed": {"processes": 3}} if edge.resolutions else {}),
        cards={name: _card(name, edge) for name in edge.names},
        models={name: {"status": "done", "processes": [{}, {}] if edge.resolutions else None} for name in edge.names},
        counts={
            name: {"planned": planned, "done": made, "failed": planned if name in edge.failed else 0}
            for name, made in done.items()
        },
        errors=dict.fromkeys(edge.failed, LOST),
        host={"cpu": "a processor", "cores": 2, "memory_gib": 8},
        seconds={"metrics": 3.2} if edge.measured else {},
    )


def _card(name: str, edge: Edge) -> dict[str, Any]:
    family = {"gan": "gan", "var": "var", "ldm": "diffusers", "sd": "diffusers"}.get(name.split("@")[0].split("-")[0])
    return {
        "name": name, "title": name.split("@")[0].upper(), "family": family, "control": name in edge.controls,
        "resolution": edge.resolutions.get(name, 32),
    }  # fmt: skip


def _write_samples(folder: RunFolder, model: str, edge: Edge) -> None:
    """A third of the last batch was filtered, and one image of it failed."""
    clock, rows = 1e9, []
    for name in SETS:
        for number in range(edge.images if model not in edge.begun else edge.images // 3):
            start = clock + (number // BATCH) * 1.7
            rows.append(
                {"model": model, "set": name, "key": f"{number:016x}", "prompt": "a red star", "status": "ok",
                 "batch": number // BATCH, "attempt": 1, "t_start": start, "t_end": start + 1.1,
                 "t_measured": start + 1.5}
            )  # fmt: skip
        clock += 60
    for row in rows[-BATCH // 3 :]:
        row["status"] = "filtered"
    if rows:
        rows[-1] |= {"status": "error", "error": "the decoder overflowed"}
    target = folder.parts(model) / "prompted-00000.parquet" if model in edge.begun else folder.samples(model)
    write_rows(target, SAMPLES, rows)


def _timings(model: str, number: int, edge: Edge) -> Iterator[dict[str, Any]]:
    if not edge.times:
        yield {"model": model, "scenario": "offline", "batch_size": 1, "call": 0, "n_images": 0, "status": "failed",
               "reason": "RuntimeError: the clock stopped"}  # fmt: skip
        return
    rng = np.random.default_rng(number)
    for process in range(2 if edge.resolutions else 1):
        base = {"model": model, "replicate": process, "device": "cpu", "status": "ok"}
        yield base | {"scenario": "first_call", "stage": "e2e", "batch_size": 1, "call": 0, "n_images": 1,
                      "wall_ns": int(9e7 * (number + 1))}  # fmt: skip
        for size, scenario in ((1, "single_stream"), *((size, "offline") for size in SIZES[:-1])):
            void = size == 16 and number == 1 and process == 0
            yield from _window(base, scenario, size, 2e6 * (number + 1) * (3 + size**0.7), rng, void=void)
        full = {"scenario": "offline", "batch_size": SIZES[-1], "call": 0, "n_images": 0}
        yield base | full | {"status": "out_of_memory", "reason": FULL}


def _window(
    base: dict[str, Any], scenario: str, size: int, ns: float, rng: np.random.Generator, *, void: bool
) -> Iterator[dict[str, Any]]:
    """Two calls to warm up, the first one slow, and twelve that are measured, with one stage of each."""
    for call in range(14):
        warm = call < 2
        wall = int(ns * (1 + (0.8 if call == 0 else 0) + 0.05 * rng.normal() ** 2))
        row = base | {"scenario": "warmup" if warm else scenario, "batch_size": size, "call": call, "n_images": size,
                      "stage": "e2e", "warmup": warm, "wall_ns": wall}  # fmt: skip
        yield row | ({"status": "void", "reason": BUSY} if void and not warm else {})
        yield row | {"stage": "sample", "wall_ns": wall // 2}


def _rows(model: str, number: int, edge: Edge) -> Iterator[MetricRow]:
    rng = np.random.default_rng(100 + number)
    quality, diversity = ((), ()) if edge.resolutions else (_QUALITY, _DIVERSITY)
    few = edge.images < 20
    for metric in ("score_quality", *quality, "score_diversity", *diversity) if quality else ():
        missing = TOO_FEW.format(n=edge.images) if few else None
        yield _row(model, metric, float(rng.uniform(1, 9)), edge, missing)
    untimed = None if edge.times else "was not timed"
    for metric in ("images_per_second", "latency_batch1", "load_seconds"):
        if edge.timed:
            yield _row(model, metric, float(rng.uniform(0.5, 9)), edge, untimed)
    if edge.timed and quality:
        for metric in ("score_speed", "score_speed_batch1"):
            yield _row(model, metric, float(rng.uniform(1, 9)), edge, untimed)
    yield _row(model, "flops_per_image", float(rng.uniform(1e8, 1e10)), edge, None)
    yield _row(model, "parameters", 2_400_000.0, edge, None)


def _row(model: str, metric: str, value: float, edge: Edge, missing: str | None) -> MetricRow:
    about: dict[str, Any] = {"run_id": "edge", "model": model, "metric": metric}
    about["unit"] = "of 10" if metric.startswith("score") else "s" if metric.endswith(("batch1", "seconds")) else ""
    about["direction"] = "lower" if metric in _LOWER else "higher"
    if model in edge.failed:
        return MetricRow(**about, status="failed", reason=f"the model failed: {LOST['type']}: {LOST['message']}")
    if missing is not None:
        return MetricRow(**about, status="skipped", reason=missing, n=edge.images)
    return MetricRow(**about, value=value, se=value / 30, ci=(value * 0.93, value * 1.07), n=edge.images)


if __name__ == "__main__":
    for chosen in sys.argv[2:] or EDGES:
        print(write_report(write_edge(Path(sys.argv[1]) / chosen, EDGES[chosen])))
