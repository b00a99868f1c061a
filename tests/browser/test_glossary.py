from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Opener = Callable[..., Any]
FOCUS = "document.activeElement.id || document.activeElement.getAttribute('href')"


def test_by_keyboard_from_a_name_to_its_entry_and_back(open_page: Opener, report: Path) -> None:
    page = open_page(report).page
    page.locator("#number-fd_scenes").focus()
    page.keyboard.press("Enter")
    assert page.evaluate(FOCUS) == "metric-fd_scenes"
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUS) == "#number-fd_scenes"
    page.keyboard.press("Enter")
    assert page.evaluate(FOCUS) == "number-fd_scenes"


def test_an_entry_is_seen_below_the_navigation(open_page: Opener, report: Path) -> None:
    page = open_page(report, reduced_motion="reduce").page
    page.locator("#number-mode_tv").click()
    top, bottom = page.evaluate(
        "[document.querySelector('#metric-mode_tv').getBoundingClientRect().top,"
        " document.querySelector('nav').getBoundingClientRect().bottom]"
    )
    assert bottom <= top < 900


def test_the_heading_of_a_switched_measure_leads_to_that_measure(open_page: Opener, report: Path) -> None:
    page = open_page(report).page
    page.get_by_label("Quality by").select_option("1")
    page.locator("summary", has_text="The numbers behind these charts").click()
    page.locator("#tradeoffs-table thead a", has_text="FD-Scenes").press("Enter")
    assert page.evaluate(FOCUS) == "metric-fd_scenes"


@pytest.mark.parametrize("scripts", [True, False])
def test_it_needs_no_scripts_and_is_printed(open_page: Opener, report: Path, scripts: bool) -> None:
    page = open_page(report, java_script_enabled=scripts).page
    page.emulate_media(media="print")
    entry = page.locator("#metric-kid")
    assert entry.is_visible()
    assert "Gamed by" in entry.inner_text()
    assert entry.get_by_role("link").count() == 0
