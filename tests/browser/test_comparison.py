"""The page of two runs in a browser: it asks for nothing, complains of nothing, and can be read by everyone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import synthetic_comparison as synthetic
from synthetic_comparison import MODELS_A, MODELS_B, RUN_A, RUN_B, STEADY

from trilemma.report import write_comparison
from trilemma.workspace import Workspace

Opener = Callable[..., Any]
HOSTILE = "<script>alert(1) javascript:alert(2) \u202eשלום \U0001f98a <img src=x onerror=alert(3)> $x$"
LONG = f"{HOSTILE}</script>" + "x" * 10_000
WHOLE = "document.querySelectorAll('details').forEach((one) => { one.open = true; })"


def write(out: Path, a: Path, b: Path) -> Path:
    return write_comparison(a, b, Workspace(root=out, results=out))


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with every kind of verdict, with figures and with images."""
    out = tmp_path_factory.mktemp("comparison")
    return write(out, *synthetic.write_pair(out))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Names, prompts, versions and errors that mean harm and have no end."""
    out = tmp_path_factory.mktemp("hostile")
    a = {**MODELS_A, HOSTILE: STEADY}
    b = {**MODELS_B, HOSTILE: replace(STEADY, distance=12.0, salt=2), "broken": replace(STEADY, error=LONG)}
    prompts = [LONG] * synthetic.IMAGES
    return write(
        out,
        synthetic.write_run(out / RUN_A, a, prompts=prompts, env={"python": LONG}),
        synthetic.write_run(out / RUN_B, b, prompts=prompts),
    )


def test_page_asks_for_nothing_but_itself_and_has_no_complaints(
    open_page: Opener, comparison: Path, hostile: Path
) -> None:
    for path in (comparison, hostile):
        opened = open_page(path)
        opened.page.wait_for_load_state("networkidle")
        assert opened.requests == [path.as_uri()]
        assert opened.messages == opened.dialogs == []


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_is_wider_than_the_window(open_page: Opener, comparison: Path, hostile: Path, width: int) -> None:
    for path in (comparison, hostile):
        page = open_page(path, viewport={"width": width, "height": 844}).page
        page.evaluate(WHOLE)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(open_page: Opener, comparison: Path, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is missing")
    page = open_page(comparison, color_scheme=scheme).page
    page.evaluate(WHOLE)
    violations = axe.Axe().run(page).response["violations"]
    found = [
        (one["id"], [node["target"] for node in one["nodes"]][:5])
        for one in violations
        if one["impact"] in ("serious", "critical")
    ]
    assert found == []


def test_the_way_to_a_model_leads_into_its_folded_table(open_page: Opener, comparison: Path) -> None:
    page = open_page(comparison).page
    folded = page.locator("details.of-model", has_text="ldm")
    assert folded.get_attribute("open") is None
    page.locator(".words-of-models a", has_text="ldm").press("Enter")
    assert folded.locator("table").is_visible()


def test_pictures_are_there_before_and_after(open_page: Opener, comparison: Path) -> None:
    page = open_page(comparison).page
    pairs = page.locator(".pairs figure")
    assert pairs.count() >= 48
    assert pairs.first.locator("svg.tile").count() == 2
    labels = [tile.get_attribute("aria-label") for tile in pairs.first.locator("svg.tile").all()]
    assert labels[0].startswith("gan, A: ") and labels[1].startswith("gan, B: ")
    assert page.locator(".store image").first.evaluate("(one) => one.getBBox().width") == 64
