"""Writes the report's files beside the record."""

from __future__ import annotations

from pathlib import Path

from trilemma.report import tables
from trilemma.report.document import document
from trilemma.report.drawing import png, svg
from trilemma.report.figures import sweep_figure, trilemma_figure
from trilemma.report.frontier_figures import frontier_figure, trade_figure
from trilemma.report.markdown import markdown
from trilemma.report.nearest import nearest_sheets
from trilemma.report.page import html
from trilemma.report.real_size import real_size
from trilemma.report.real_size_figure import real_size_figure
from trilemma.report.record import load
from trilemma.store.atomic import write_bytes, write_json


def write(run_folder: Path) -> Path:
    """Writes the page, the Markdown, the JSON and the figures; returns the path of the page."""
    run = load(run_folder)
    figures = {}
    if tables.is_scored(run) and not run.is_sweep:
        figures["trilemma"] = trilemma_figure(tables.scores(run))
    if run.frontier is not None:
        figures |= {"frontier": frontier_figure(run.frontier), "trades": trade_figure(run.frontier)}
    sweep = tables.sweep(run)
    if not sweep.empty:
        figures["speed"] = sweep_figure(sweep)
    found = real_size(run)
    for group in found.groups if found is not None else ():
        if group.is_drawn:
            figures[f"real-size-{group.name}"] = real_size_figure(group)
    for name, figure in figures.items():
        write_bytes(run_folder / "figures" / f"{name}.svg", svg(figure))
        write_bytes(run_folder / "figures" / f"{name}.png", png(figure))
    for name, content in nearest_sheets(run).items():
        write_bytes(run_folder / name, content)
    write_bytes(run_folder / "report.md", markdown(run).encode())
    write_json(run_folder / "report.json", document(run))
    page = run_folder / "report.html"
    write_bytes(page, html(run).encode())
    return page
