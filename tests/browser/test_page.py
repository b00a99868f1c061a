from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FOCUSABLE = "a[href], button, select, summary, [tabindex='0']"
NO_STORAGE = (
    """Object.defineProperty(window, "sessionStorage", { get() { throw new DOMException("no", "SecurityError"); } });"""
)
NO_VEGA = (
    """Object.defineProperty(window, "vegaEmbed", { get: () => () => Promise.reject(new Error("no")), set() {} });"""
)
Opener = Callable[..., Any]


def test_page_asks_for_nothing_but_itself_and_has_no_complaints(open_page: Opener, report: Path) -> None:
    opened = open_page(report)
    opened.page.wait_for_load_state("networkidle")
    assert opened.requests == [report.as_uri()]
    assert opened.messages == []


def test_trade_offs_and_orders_are_drawn_with_models_controls_and_axes(open_page: Opener, report: Path) -> None:
    page = open_page(report).page
    assert page.locator(".chart svg").count() == 6
    words = set(page.locator("#chart-quality-diversity svg text").all_text_contents())
    assert {"gan", "var", "ldm", "vqar", "real", "reduced", "mode-drop"} <= words
    assert {"Quality score →", "Diversity score →"} <= words
    assert "vqar" not in page.locator("#chart-quality-speed svg text").all_text_contents()
    assert page.locator(".still").first.is_hidden()


def test_the_first_screen_shows_what_each_model_gives_up(open_page: Opener, report: Path) -> None:
    page = open_page(report).page
    low = page.evaluate("[...document.querySelectorAll('.offer')].map((one) => one.getBoundingClientRect().bottom)")
    assert max(low) < 900
    gan = page.locator(".offer", has_text="gan").first.inner_text()
    assert "Gives up diversity (4.20 ± 0.12 of 10) for speed" in gan.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_is_wider_than_the_window(open_page: Opener, report: Path, hostile_report: Path, width: int) -> None:
    for path in (report, hostile_report):
        page = open_page(path, viewport={"width": width, "height": 844}).page
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_page_without_scripts_shows_the_printed_figures_and_every_table(open_page: Opener, report: Path) -> None:
    page = open_page(report, java_script_enabled=False).page
    assert all(still.is_visible() for still in page.locator(".still svg").all())
    assert page.locator(".live").first.is_hidden()
    assert page.locator("#theme").is_hidden()
    page.locator("summary", has_text="The numbers behind these charts").click()
    assert page.locator("#tradeoffs-table").is_visible()
    assert "4.20 ± 0.12" in page.locator("#tradeoffs-table").inner_text()


def test_where_the_library_fails_the_printed_figures_stay(open_page: Opener, report: Path) -> None:
    page = open_page(report, before=NO_VEGA).page
    page.wait_for_function("document.querySelectorAll('.moving.broken').length === 2")
    assert all(still.is_visible() for still in page.locator(".still svg").all())


def test_the_measure_is_switched_by_keyboard_in_charts_table_and_words(open_page: Opener, report: Path) -> None:
    page = open_page(report).page
    page.get_by_label("Quality by").focus()
    page.keyboard.press("ArrowDown")
    assert page.get_by_label("Quality by").input_value() == "1"
    axis = "FD-Scenes (lower is better) →"
    for chart in ("quality-diversity", "quality-speed"):
        page.wait_for_selector(f"#chart-{chart} svg text:text-is('{axis}')")
    assert axis not in page.locator("#chart-diversity-speed svg text").all_text_contents()
    assert page.locator("#told-quality").inner_text().startswith("FD-Scenes: var > ldm > vqar > gan")
    page.locator("summary", has_text="The numbers behind these charts").click()
    table = page.locator("#tradeoffs-table")
    assert "FD-Scenes" in table.locator("thead").inner_text()
    assert "5.25 ± 0.02" in table.locator("tbody tr", has_text="gan").first.inner_text()
    assert "not measured" in table.locator("tbody tr", has_text="broken").inner_text()


def test_better_is_right_for_a_measure_where_less_is_better(open_page: Opener, report: Path) -> None:
    page = open_page(report).page
    page.get_by_label("Quality by").select_option("1")
    page.wait_for_selector("#chart-quality-diversity svg text:text-is('FD-Scenes (lower is better) →')")
    left = {
        name: page.locator("#chart-quality-diversity svg text", has_text=re.compile(f"^{name}$")).bounding_box()["x"]
        for name in ("reduced", "gan", "var")
    }
    assert left["reduced"] < left["gan"] < left["var"]


def test_a_pointer_shows_the_numbers_with_their_interval(open_page: Opener, report: Path) -> None:
    page = open_page(report).page
    page.locator("#tradeoffs").scroll_into_view_if_needed()
    marks = page.locator("#chart-quality-diversity .mark-symbol path")
    found = []
    for mark in marks.all():
        mark.hover(force=True)
        found.append(page.locator("#vg-tooltip-element").inner_text())
    assert (
        "gan\nQuality score: 6.10 ± 0.12 (95 %: 5.86 to 6.34)\nDiversity score: 4.20 ± 0.12 (95 %: 3.96 to 4.44)"
        in found
    )


def test_everything_that_can_be_operated_is_reached_by_keyboard_and_seen(open_page: Opener, report: Path) -> None:
    page = open_page(report).page
    wanted = page.evaluate(
        f"""[...document.querySelectorAll({FOCUSABLE!r})].filter((one) => one.checkVisibility()
        && !one.closest("details:not([open]) > :not(summary)"))
        .map((one, i) => {{ one.dataset.stop = i; return i; }})"""
    )
    reached, unseen = [], []
    for _ in wanted:
        page.keyboard.press("Tab")
        stop, outline = page.evaluate(
            "[document.activeElement.dataset.stop, getComputedStyle(document.activeElement).outlineStyle]"
        )
        reached.append(int(stop))
        unseen += [stop] if outline == "none" else []
    assert reached == wanted
    assert unseen == []


def test_the_skip_link_comes_first_and_leads_to_the_scores(open_page: Opener, report: Path) -> None:
    page = open_page(report).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["x"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def paper(page: Any) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


LIGHT, DARK = "rgb(253, 253, 252)", "rgb(20, 23, 27)"


@pytest.mark.parametrize(("scheme", "first", "second"), [("light", LIGHT, DARK), ("dark", DARK, LIGHT)])
def test_the_system_s_theme_is_taken_and_the_button_turns_it(
    open_page: Opener, report: Path, scheme: str, first: str, second: str
) -> None:
    page = open_page(report, color_scheme=scheme).page
    assert paper(page) == first
    page.get_by_role("button", name="theme").press("Enter")
    assert paper(page) == second
    ink = page.evaluate("getComputedStyle(document.querySelector('.chart svg text')).fill")
    assert ink == page.evaluate("getComputedStyle(document.body).color")


def test_the_theme_is_remembered_for_the_session(open_page: Opener, report: Path) -> None:
    page = open_page(report, color_scheme="light").page
    page.get_by_role("button", name="Dark theme").click()
    kept = page.evaluate("Object.entries(sessionStorage)")
    assert len(kept) == 1
    key, value = kept[0]
    # Not by a reload: Chromium writes its storage behind the page's back, and a reload within milliseconds may miss it.
    again = open_page(report, before=f"sessionStorage.setItem({key!r}, {value!r})", color_scheme="light").page
    assert paper(again) == DARK
    assert again.get_by_role("button", name="Light theme").is_visible()


def test_the_button_works_where_there_is_no_storage(open_page: Opener, report: Path) -> None:
    opened = open_page(report, before=NO_STORAGE, color_scheme="light")
    opened.page.get_by_role("button", name="Dark theme").click()
    assert paper(opened.page) == DARK
    assert opened.page.get_by_role("button", name="Light theme").is_visible()
    assert opened.messages == []


def test_print_unfolds_what_is_folded_and_folds_it_again(open_page: Opener, report: Path) -> None:
    page = open_page(report, color_scheme="dark").page
    folded = page.locator("details:not([open])").count()
    count = "window.left = document.querySelectorAll('details:not([open])').length"
    page.evaluate(f"addEventListener('beforeprint', () => {{ {count}; }})")
    assert page.pdf().startswith(b"%PDF")
    assert page.evaluate("window.left") == 0
    assert page.locator("details:not([open])").count() == folded > 0


def test_paper_gets_the_printed_figures_in_light(open_page: Opener, report: Path) -> None:
    page = open_page(report, color_scheme="dark").page
    page.emulate_media(media="print")
    assert all(still.is_visible() for still in page.locator(".still svg").all())
    assert page.locator(".live").first.is_hidden()
    assert page.get_by_role("navigation").is_hidden()
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(31, 35, 40)"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(open_page: Opener, report: Path, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is missing")
    page = open_page(report, color_scheme=scheme).page
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    violations = axe.Axe().run(page).response["violations"]
    found = [
        (one["id"], [node["target"] for node in one["nodes"]][:5])
        for one in violations
        if one["impact"] in ("serious", "critical")
    ]
    assert found == []


def test_hostile_text_is_shown_and_does_nothing(open_page: Opener, hostile_report: Path) -> None:
    opened = open_page(hostile_report)
    page = opened.page
    assert opened.requests == [hostile_report.as_uri()]
    assert opened.dialogs == opened.messages == []
    assert page.locator("img, iframe, object, embed").count() == 0
    assert page.locator("[href^='javascript' i]").count() == 0
    harm = "<script>alert(1)"
    for place in (".offer h3", ".offer p", "#tradeoffs-table tbody th", "#told-quality", "#order-quality svg",
                  "#cards h3", "#failures pre", "#samples"):  # fmt: skip
        assert any(harm in text for text in page.locator(place).all_text_contents()), place
    page.get_by_label("Quality by").select_option("1")
    page.wait_for_selector("#chart-quality-diversity svg text:text-is('FD-Scenes (lower is better) →')")
    assert opened.dialogs == opened.messages == []


def test_hostile_names_in_a_tooltip_are_text(open_page: Opener, hostile_report: Path) -> None:
    opened = open_page(hostile_report)
    opened.page.locator("#tradeoffs").scroll_into_view_if_needed()
    found = []
    for mark in opened.page.locator("#chart-quality-diversity .mark-symbol path").all():
        mark.hover(force=True)
        found.append(opened.page.locator("#vg-tooltip-element").text_content())
        assert opened.page.locator("#vg-tooltip-element *").count() == 0
    assert any("<img src=x onerror=alert(3)>" in text for text in found)
    assert opened.dialogs == opened.messages == []


def test_the_policy_stops_a_script_that_is_not_ours(open_page: Opener, report: Path) -> None:
    page = open_page(report).page
    stopped = page.evaluate(
        """() => new Promise((resolve) => {
            document.addEventListener("securitypolicyviolation", (event) => resolve(event.violatedDirective));
            const script = document.createElement("script");
            script.textContent = "window.harmed = true";
            document.body.append(script);
        })"""
    )
    assert stopped.startswith("script-src")
    assert page.evaluate("window.harmed") is None
