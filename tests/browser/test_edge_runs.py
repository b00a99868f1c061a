"""The pages of odd runs in a browser: no complaint, nothing wider than the window, nothing that shuts readers out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from synthetic_edges import EDGES, write_edge

from trilemma.report import write_report

Opener = Callable[..., Any]
UNFOLD = "document.querySelectorAll('details').forEach((one) => { one.open = true; })"


@pytest.fixture(scope="module")
def edge_reports(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Returns the page of a run of :data:`EDGES`, written when it is asked for first."""
    folder = tmp_path_factory.mktemp("edges")
    pages: dict[str, Path] = {}

    def page(name: str) -> Path:
        return pages.setdefault(name, pages.get(name) or write_report(write_edge(folder / name, EDGES[name])))

    return page


@pytest.mark.parametrize("name", EDGES)
def test_no_complaint_and_nothing_is_wider_than_the_window(
    open_page: Opener, edge_reports: Callable[[str], Path], name: str
) -> None:
    path = edge_reports(name)
    opened = open_page(path, viewport={"width": 390, "height": 844})
    opened.page.evaluate(UNFOLD)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert opened.messages == opened.dialogs == []
    assert opened.requests == [path.as_uri()]


@pytest.mark.parametrize("name", ["thirty-models", "few-images", "speed"])
def test_axe_finds_nothing_serious(open_page: Opener, edge_reports: Callable[[str], Path], name: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is missing")
    page = open_page(edge_reports(name), color_scheme="dark").page
    page.evaluate(UNFOLD)
    found = [
        (one["id"], [node["target"] for node in one["nodes"]][:5])
        for one in axe.Axe().run(page).response["violations"]
        if one["impact"] in ("serious", "critical")
    ]
    assert found == []


def test_a_reason_is_reached_by_keyboard(open_page: Opener, edge_reports: Callable[[str], Path]) -> None:
    page = open_page(edge_reports("few-images"), reduced_motion="reduce").page
    link = page.locator("#coverage .gaps a").first
    link.focus()
    page.keyboard.press("Enter")
    reason = page.locator(page.evaluate("location.hash"))
    assert reason.inner_text() == "needs at least 129 samples; there are 8"
    box = reason.bounding_box()
    assert box is not None and 0 <= box["y"] <= 900
