"""Runs at the edge of what a report has to show: each gives a page, Markdown and JSON that say what is missing."""

from __future__ import annotations

import json
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from synthetic_edges import EDGES, LOST, write_edge

from trilemma.report import write_report
from trilemma.report.drawing import png
from trilemma.report.figures import sweep_figure, trilemma_figure
from trilemma.report.record import load
from trilemma.report.tables import scores, sweep

SAID = {
    "failed-model": ["1 model failed", "the model failed: OutOfMemoryError", "nothing at all, failed"],
    "all-failed": ["2 models failed", "Not everything in this run worked", LOST["message"]],
    "one-model": ["1 model and 0 controls ran", "Gives up"],
    "only-controls": ["0 models and 2 controls ran", "no other model took part"],
    "thirty-models": ["30 models and 1 control ran"],
    "few-images": ["needs at least 129 samples; there are 8", "annot be judged without all three scores"],
    "no-timing": ["No batch sweep was timed in this run. The protocol edge asks for no timing."],
    "timing-failed": ["No batch sweep was timed in this run.", "RuntimeError: the clock stopped", "was not timed"],
    "unfinished": ["This run had not ended", "Nothing was measured", "unfinished", "No number was computed"],
    "no-samples": ["nothing was planned", "no image that says when it was made"],
    "no-models": ["0 models and 0 controls", "No model took part", "Nothing was measured", "This run was stopped"],
    "speed": ["out of memory", "Processes planned", "64 ×"],
}
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Nesting(HTMLParser):
    """Fails where elements do not nest, or an id occurs twice."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.feed(text)
        assert self.open == []
        assert len(self.ids) == len(set(self.ids))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open += [] if tag in VOID else [tag]
        self.ids += [value for name, value in attrs if name == "id" and value]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value for name, value in attrs if name == "id" and value]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module", params=EDGES)
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The name of a run, and its folder with all its reports."""
    folder = write_edge(tmp_path_factory.mktemp("edges") / request.param, EDGES[request.param])
    write_report(folder)
    return request.param, folder


def shown(folder: Path) -> str:
    """The page's text as a reader sees it, folded parts included."""
    text = (folder / "report.html").read_text(encoding="utf-8")
    body = re.sub(r"<(script|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", body)).replace("\N{NO-BREAK SPACE}", " "))


def test_every_edge_has_something_to_say() -> None:
    assert SAID.keys() == EDGES.keys()


def test_the_page_says_what_is_the_matter(report: tuple[str, Path]) -> None:
    name, folder = report
    Nesting((folder / "report.html").read_text(encoding="utf-8"))
    text = shown(folder)
    assert [sentence for sentence in SAID[name] if sentence not in text] == []
    assert not re.search(r"\b(nan|NaN|None(?!\.)|inf)\b", text)


def test_the_markdown_says_it_too(report: tuple[str, Path]) -> None:
    _, folder = report
    text = (folder / "report.md").read_text(encoding="utf-8")
    for heading in ("Timed calls", "Scaling", "Coverage of the run", "What was not measured", "Failures"):
        assert f"# {heading}\n" in text
    for table in re.findall(r"(?:^\|.*\|$\n?)+", text, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_the_json_holds_no_number_without_a_value_or_a_reason(report: tuple[str, Path]) -> None:
    _, folder = report

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    told: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"), parse_constant=refuse)
    missing = [one for one in (*told["scores"], *told["metrics"]) if one.get("score", one.get("value")) is None]
    assert all(one["reason"] for one in missing)
    assert len(told["coverage"]) == len(told["models"]) == len(load(folder).models)


def test_thirty_models_have_room_in_every_figure(tmp_path: Path) -> None:
    run = load(write_edge(tmp_path / "run", EDGES["thirty-models"]))
    for figure in (sweep_figure(sweep(run)), trilemma_figure(scores(run))):
        png(figure, dpi=int(figure.dpi))  # only what was drawn has its place
        whole = figure.bbox
        for box in (text.get_window_extent() for axes in figure.axes for text in axes.texts + _names(axes)):
            assert whole.x0 - 1 <= box.x0 and box.x1 <= whole.x1 + 1
            assert whole.y0 - 1 <= box.y0 and box.y1 <= whole.y1 + 1


def _names(axes: Any) -> list[Any]:
    legend = axes.get_legend()
    return legend.get_texts() if legend is not None else []
