"""The gallery in a browser: thousands of images, of which only those in sight are in the page; by keyboard alone."""

from __future__ import annotations

import http.server
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from synthetic_gallery import write_synthetic

from trilemma.report import write_report

MODELS = 10
IMAGES = 4000
# Rows of some 40 elements, and with what is kept above and below a dozen of them; not tens of thousands.
MOST_ELEMENTS = 700
HOSTILE = ["<script>alert(1)</script>", "javascript:alert(1)", "b" * 10_000, "\u202eזה ימין \U0001f600", "needle"]
READY = "#viewer-grid[data-ready]"
DRAWN = f"{READY}:not(:has(canvas:not([data-state=drawn])))"


@dataclass
class Opened:
    """A page, and what it said and asked for since it was opened."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def open(self, address: str) -> None:
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(address)

    def count(self, selector: str) -> int:
        return int(self.page.locator(selector).count())

    def prompts(self) -> list[str]:
        return list(self.page.locator(".viewer-body .viewer-text").all_text_contents())

    def tab_to(self, selector: str) -> None:
        """Goes there by the keyboard alone."""
        for _ in range(200):
            if self.page.evaluate("wanted => document.activeElement.matches(wanted)", selector):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"no tab leads to {selector}")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = write_synthetic(tmp_path_factory.mktemp("gallery") / "run", models=MODELS, images=IMAGES, prompts=HOSTILE)
    return write_report(run)


@pytest.fixture
def opened(browser: Any, path: Path) -> Iterator[Opened]:
    """The page opened from disk at the gallery; in the end it must have said nothing, and asked for nothing else."""
    one = Opened(browser.new_page(viewport={"width": 1440, "height": 900}))
    one.open(f"{path.as_uri()}#gallery")
    one.page.wait_for_selector(READY)
    yield one
    assert one.said == []
    assert all(address.startswith((path.parent.as_uri(), "data:")) for address in one.asked)
    one.page.close()


def test_thousands_of_images_are_soon_there(opened: Opened, capsys: pytest.CaptureFixture[str]) -> None:
    ready = opened.page.evaluate("performance.getEntriesByName('gallery')[0].startTime")
    opened.page.wait_for_selector(DRAWN)
    drawn = opened.page.evaluate("performance.now()")
    with capsys.disabled():
        print(
            f"\ngallery of {MODELS} x {IMAGES:,} images: interactive after {ready:.0f} ms, drawn after {drawn:.0f} ms"
        )
    assert opened.page.locator("#viewer-status").text_content() == "4,000 prompts and seeds, 40,000 images."
    # One sheet of every model and one of the training images, of 160 that there are.
    assert len([address for address in opened.asked if address.endswith(".png")]) <= MODELS + 1


def test_from_the_first_row_to_the_last_little_is_in_the_page(opened: Opened) -> None:
    grid = opened.page.locator("#viewer-grid")
    for share in (0.0, 0.1, 0.35, 0.6, 0.85, 1.0):
        grid.evaluate("(grid, share) => { grid.scrollTop = share * grid.scrollHeight; }", share)
        opened.page.wait_for_timeout(50)  # a frame, in which the rows are put there
        opened.page.wait_for_selector(DRAWN)
        assert opened.count("#viewer-grid *") <= MOST_ELEMENTS
        seen = opened.page.evaluate(
            """() => {
              const room = document.getElementById("viewer-grid").getBoundingClientRect();
              const rows = [...document.querySelectorAll(".viewer-body .viewer-row")].filter((row) => {
                const box = row.getBoundingClientRect();
                return box.bottom > room.top && box.top < room.bottom;
              });
              const tiles = (row) => row.querySelectorAll(".viewer-cell canvas").length;
              return [rows.length, rows.reduce((sum, row) => sum + tiles(row), 0)];
            }"""
        )
        assert seen[0] >= 3 and seen[1] >= seen[0] * MODELS
    assert opened.page.locator(".viewer-row").last.get_attribute("aria-rowindex") == str(IMAGES + 1)


def test_what_a_tile_shows_is_its_own_image(opened: Opened, path: Path) -> None:
    """Of the canvas nothing can be read where the page has no origin; a screenshot of it can."""
    import io

    import numpy as np
    from PIL import Image

    from trilemma.store.layout import RunFolder
    from trilemma.store.sheets import Sheets

    grid = opened.page.locator("#viewer-grid")
    grid.evaluate("grid => { grid.scrollTop = 300 * 132; }")
    opened.page.wait_for_timeout(50)
    opened.page.wait_for_selector(DRAWN)
    tile = opened.page.locator('#viewer-301-3 canvas[aria-label^="model-3"]').first
    shown = np.asarray(Image.open(io.BytesIO(tile.screenshot())).convert("RGB"))
    own = Sheets(RunFolder(path=path.parent).sheets("model-3")).images("prompted", [301])[0]
    factor = len(shown) // 32
    middle = shown[factor // 2 :: factor, factor // 2 :: factor][4:28, 4:28]
    assert np.array_equal(middle, own[4:28, 4:28])


def test_filters_and_order_work_by_keyboard(opened: Opened) -> None:
    keyboard, status = opened.page.keyboard, opened.page.locator("#viewer-status")
    opened.tab_to("#viewer-prompt")
    keyboard.type("NEEDLE")
    assert status.text_content() == "1 prompt and seed, 10 images." and opened.prompts() == ["needle"]
    for _ in "NEEDLE":
        keyboard.press("Backspace")
    opened.tab_to("#viewer-order")
    keyboard.press("ArrowDown")
    moved = _moved(opened)
    assert moved == sorted(moved, reverse=True) and len(moved) >= 3
    assert opened.count(".viewer-body .viewer-row:first-child .viewer-most") == 1
    opened.tab_to("#viewer-copies")
    keyboard.press("Space")
    rows = opened.page.locator(".viewer-body .viewer-row").all()
    assert len(rows) >= 3 and all(row.locator(".viewer-pair canvas").count() >= 2 for row in rows)
    opened.tab_to(".viewer-model")
    keyboard.press("Space")
    assert opened.page.locator(".viewer-head [role=columnheader]").all_text_contents()[:2] == ["Prompt", "model-1"]
    opened.tab_to("#viewer-prompt")
    keyboard.type("no such words")
    assert status.text_content() == "Nothing matches." and opened.count(".viewer-body .viewer-row") == 0


def _moved(opened: Opened) -> list[float]:
    """The largest value of each row in the page, from its first model to its last, in the order of the rows."""
    rows = opened.page.locator(".viewer-body .viewer-row").all()
    texts = [row.locator(".viewer-cell > .viewer-small").all_text_contents() for row in rows]
    return [max(abs(float(text.replace("\N{MINUS SIGN}", "-"))) for text in of_row) for of_row in texts]


def test_the_arrows_go_from_image_to_image(opened: Opened) -> None:
    keyboard, grid = opened.page.keyboard, opened.page.locator("#viewer-grid")
    opened.tab_to("#viewer-grid")
    assert grid.evaluate("grid => getComputedStyle(grid).outlineStyle") == "solid"
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        keyboard.press(key)
    assert grid.get_attribute("aria-activedescendant") == "viewer-1-1"
    assert opened.page.locator(".viewer-active").get_attribute("id") == "viewer-1-1"
    assert opened.page.locator("#viewer-detail h3").text_content() == "model-1"
    keyboard.press("Control+End")
    active = opened.page.locator(".viewer-active")
    assert active.get_attribute("id") == f"viewer-{IMAGES - 1}-{MODELS - 1}"
    box, room = active.bounding_box(), grid.bounding_box()
    assert box is not None and room is not None
    assert room["y"] <= box["y"] and box["y"] + box["height"] <= room["y"] + room["height"] + 1
    assert room["x"] <= box["x"] and box["x"] + box["width"] <= room["x"] + room["width"] + 1
    keyboard.press("Control+Home")
    keyboard.press("PageDown")
    assert int(grid.get_attribute("aria-activedescendant").split("-")[1]) >= 2
    keyboard.press("Tab")
    assert opened.page.evaluate("document.activeElement.id") != "viewer-grid"


def test_hostile_prompts_show_as_text(opened: Opened) -> None:
    assert opened.prompts()[:2] == HOSTILE[:2]
    assert opened.prompts()[2].startswith("bbb") and len(opened.prompts()[2]) < 300
    assert opened.count("#viewer script") == 0
    keyboard = opened.page.keyboard
    opened.tab_to("#viewer-grid")
    for _ in range(3):
        keyboard.press("ArrowDown")
    assert opened.page.locator("#viewer-detail dd").first.text_content() == HOSTILE[2]
    assert opened.page.locator(".viewer-body .viewer-text").nth(3).text_content() == HOSTILE[3]
    wide = opened.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0


def test_a_suspected_copy_shows_its_training_image(opened: Opened) -> None:
    opened.tab_to("#viewer-copies")
    opened.page.keyboard.press("Space")
    opened.page.wait_for_selector(DRAWN)
    names = (
        opened.page.locator(".viewer-pair")
        .first.locator("canvas")
        .evaluate_all("canvases => canvases.map(canvas => canvas.getAttribute('aria-label'))")
    )
    assert "suspected copy of training image" in names[0] and names[1].startswith("its nearest training image, number ")
    assert any("/figures/nearest-" in address for address in opened.asked)


def test_without_the_files_the_page_says_so(browser: Any, path: Path, tmp_path: Path) -> None:
    alone = Opened(browser.new_page())
    alone.open(f"{Path(shutil.copy(path, tmp_path)).as_uri()}#gallery")
    alone.page.wait_for_selector('canvas[data-state="missing"]')
    assert "the page has to lie beside its folder" in alone.page.locator("#viewer-status").text_content()
    alone.page.close()


def test_from_a_server_the_pictures_come_too(browser: Any, path: Path) -> None:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(path.parent)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    served = Opened(browser.new_page())
    served.open(f"http://127.0.0.1:{server.server_port}/report.html#gallery")
    served.page.wait_for_selector(DRAWN)
    assert not [said for said in served.said if "Content Security Policy" in said]
    served.page.close()
    server.shutdown()


def test_nothing_is_read_before_the_gallery_comes_near(browser: Any, path: Path) -> None:
    one = Opened(browser.new_page(viewport={"width": 1440, "height": 100}))
    one.open(path.as_uri())
    one.page.wait_for_timeout(200)
    far = one.page.evaluate("document.getElementById('viewer').getBoundingClientRect().top")
    assert far > 100 + 800, "the page is too short for this test"
    assert not [address for address in one.asked if address.endswith(".png")]
    one.page.close()


def test_without_scripts_and_on_paper_the_first_rows_show(browser: Any, path: Path) -> None:
    plain = browser.new_context(java_script_enabled=False).new_page()
    plain.goto(path.as_uri())
    assert plain.locator(".first-rows").is_visible() and not plain.locator("#viewer").is_visible()
    assert plain.locator(".first-rows svg.tile").count() == 8 * MODELS
    printed = browser.new_page()
    printed.goto(path.as_uri())
    assert printed.locator("#viewer").is_visible() and not printed.locator(".first-rows").is_visible()
    printed.emulate_media(media="print")
    assert printed.locator(".first-rows").is_visible() and not printed.locator("#viewer").is_visible()
    for page in (plain, printed):
        page.close()
