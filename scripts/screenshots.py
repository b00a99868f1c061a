"""Pictures of a report, wide and narrow, light and dark, for the documentation and for looking at it.

    python scripts/screenshots.py results/reference/RUN/report.html [FOLDER]

One picture shows what a reader sees first, others the trade-offs and the gallery. Few colours keep them small.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

from chromium import executable, launch
from PIL import Image
from playwright.sync_api import sync_playwright

SIZES = {1440: 900, 390: 844}
COLOURS = 256
PLACES = {"first": "", "tradeoffs": "tradeoffs", "gallery": "gallery"}
"""The pictures' names, and the sections that they show, where the page has them; "" is the page's beginning."""


def main(arguments: list[str]) -> None:
    """Writes the pictures of a page into a folder, by default ``docs/images``."""
    if not arguments:
        sys.exit("screenshots: name the page, such as results/reference/RUN/report.html")
    page, folder = Path(arguments[0]).resolve(), Path(*arguments[1:2] or ["docs/images"])
    path = executable()
    if path is None:
        sys.exit("screenshots: there is no Chromium on the PATH")
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = launch(playwright, path)
        for width, height in SIZES.items():
            for theme in ("light", "dark"):
                shoot(browser, page, folder, width=width, height=height, theme=theme)
        browser.close()


def shoot(browser: Any, page: Path, folder: Path, *, width: int, height: int, theme: str) -> None:
    """Writes one picture for each place of the page, in one size and theme."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=theme, reduced_motion="reduce"
    )
    tab = context.new_page()
    tab.goto(page.as_uri())
    tab.wait_for_function("[...document.querySelectorAll('.chart')].every((chart) => chart.querySelector('svg'))")
    for name, anchor in PLACES.items():
        if anchor and not tab.query_selector(f"section#{anchor}"):
            continue
        if anchor:
            tab.evaluate(f"document.getElementById({anchor!r}).scrollIntoView()")
            tab.wait_for_load_state("networkidle")
        write(tab.screenshot(), folder / f"{name}-{width}-{theme}.png")
    context.close()


def write(png: bytes, path: Path) -> None:
    """Writes a picture with few colours, which is enough for text and charts and a third of the bytes."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    # The median cut would give all colours to the letters' edges, and none to the one green mark.
    picture = picture.quantize(COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    picture.save(path, optimize=True)
    print(f"{path}  {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main(sys.argv[1:])
