"""The report of a whole run, and its parts.

The run is the committed one: nine models, 3 × 2,048 images of each, without their sample grids.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trilemma.report import tables, write_report
from trilemma.report.drawing import png, svg
from trilemma.report.figures import sweep_figure, trilemma_figure
from trilemma.report.markdown import markdown
from trilemma.report.page import html
from trilemma.report.record import Run, load

CHECKOUT = Path(__file__).resolve().parents[2]
REFERENCE = min(CHECKOUT.glob("results/reference/*/run.json")).parent
Benchmark = Callable[..., Any]

PARTS: dict[str, Callable[[Run], object]] = {
    "page": html,
    "markdown": markdown,
    "trilemma figure, svg": lambda run: svg(trilemma_figure(tables.scores(run))),
    "trilemma figure, png": lambda run: png(trilemma_figure(tables.scores(run))),
    "sweep figure, svg": lambda run: svg(sweep_figure(tables.sweep(run))),
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
