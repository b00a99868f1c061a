"""Writes the comparison of two runs beside the record of the second."""

from __future__ import annotations

from pathlib import Path

from trilemma.card import check_name
from trilemma.report.comparison.contents import contents
from trilemma.report.comparison.document import document
from trilemma.report.comparison.markdown import markdown
from trilemma.report.comparison.page import html
from trilemma.report.comparison.pair import load_pair
from trilemma.store.atomic import write_json, write_text
from trilemma.workspace import Workspace


def write(a: Path, b: Path, workspace: Workspace) -> Path:
    """Writes the page, the Markdown and the JSON into the folder of run ``b``; returns the path of the page."""
    pair = load_pair(a, b, workspace)
    told = contents(pair)
    stem = f"compare-{check_name(pair.a.record.run_id)}"
    write_json(b / f"{stem}.json", document(told))
    write_text(b / f"{stem}.md", markdown(told))
    page = b / f"{stem}.html"
    write_text(page, html(told))
    return page
