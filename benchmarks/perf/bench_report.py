"""The report of a whole run, and its parts.

The run is the committed one: nine models, 3 × 2,048 images of each, without their sample grids. Of a large run, ten
models with 4,000 images each, the whole command is timed, Python's start included; the processor's time is printed
beside the goal, for on a machine that does other work at the same time the clock tells little.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from synthetic_gallery import write_synthetic

from trilemma.report import tables, write_report
from trilemma.report.document import document
from trilemma.report.drawing import png, svg
from trilemma.report.figures import sweep_figure, trilemma_figure
from trilemma.report.markdown import markdown
from trilemma.report.page import html
from trilemma.report.record import Run, load
from trilemma.report.timed_calls import calls, windows
from trilemma.report.timed_calls_figure import call_figures

CHECKOUT = Path(__file__).resolve().parents[2]
REFERENCE = min(CHECKOUT.glob("results/reference/*/run.json")).parent
MODELS, IMAGES, GOAL = 10, 4000, 20.0
Benchmark = Callable[..., Any]

PARTS: dict[str, Callable[[Run], object]] = {
    "page": html,
    "markdown": markdown,
    "trilemma figure, svg": lambda run: svg(trilemma_figure(tables.scores(run))),
    "trilemma figure, png": lambda run: png(trilemma_figure(tables.scores(run))),
    "sweep figure, svg": lambda run: svg(sweep_figure(tables.sweep(run))),
    "timed calls, svg": lambda run: [svg(one) for one in call_figures(calls(run), windows(run, calls(run)))],
    "json": document,
}


@pytest.fixture(scope="module")
def run() -> Run:
    return load(REFERENCE)


@pytest.mark.benchmark(group="report")
def test_loading(benchmark: Benchmark) -> None:
    assert benchmark(load, REFERENCE).rows


@pytest.mark.benchmark(group="report")
@pytest.mark.parametrize("part", PARTS)
def test_part(benchmark: Benchmark, run: Run, part: str) -> None:
    assert benchmark(PARTS[part], run)


@pytest.mark.benchmark(group="report")
def test_whole_report(benchmark: Benchmark, tmp_path: Path) -> None:
    folder = shutil.copytree(REFERENCE, tmp_path / "run", ignore=shutil.ignore_patterns("report.*", "figures"))
    page = benchmark(write_report, folder)
    assert page.is_file()


@pytest.mark.benchmark(group="large report")
def test_report_of_a_large_run(benchmark: Benchmark, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_synthetic(tmp_path / "run", models=MODELS, images=IMAGES)
    spent: list[tuple[float, float]] = []

    def command() -> None:
        before, start = _processor_seconds(), time.perf_counter()
        subprocess.run(
            [sys.executable, str(CHECKOUT / "bench.py"), "report", str(run)], capture_output=True, check=True
        )
        spent.append((time.perf_counter() - start, _processor_seconds() - before))

    benchmark.pedantic(command, rounds=3, warmup_rounds=1)  # type: ignore[attr-defined]
    clock, processor = map(min, zip(*spent, strict=True))
    benchmark.extra_info["processor seconds"] = processor  # type: ignore[attr-defined]
    size = (run / "report.html").stat().st_size / 2**20
    with capsys.disabled():
        told = f"{processor:.1f} s of the processor, {clock:.1f} s by the clock"
        print(f"\nreport of {MODELS} x {IMAGES:,} images: {told}, goal {GOAL:g} s; the page has {size:.1f} MiB")


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
