"""The suite's own cost in the report: numbers where they were recorded, else a reason; nothing for older records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from trilemma.report import write_report
from trilemma.report.overhead import NOT_MEASURED, closing, overheads
from trilemma.report.record import load

LOST = "the run was <killed> before"
DRAWINGS = {
    "gan": {"generate_seconds": 6.0, "measure_seconds": 14.0, "wall_seconds": 21.0, "attempts": 2, "status": "ok",
            "reason": None},
    "ldm": {"generate_seconds": None, "measure_seconds": None, "wall_seconds": None, "attempts": None,
            "status": "skipped", "reason": LOST},
}  # fmt: skip


def recorded(make_run: Callable[..., Path]) -> Path:
    models = {name: {"status": "done", "drawing": drawing} for name, drawing in DRAWINGS.items()}
    return make_run(models={**models, "var": {"status": "done"}}, seconds={"metrics": 3.25})


def test_a_line_holds_the_parts_and_their_ratio(make_run: Callable[..., Path]) -> None:
    gan, ldm = overheads(load(recorded(make_run)))
    assert (gan.model, gan.cells, gan.reason) == ("gan", ("6", "14", "1", "21", "1.050", "2"), "")
    assert ldm.model == "ldm" and set(ldm.cells) == {NOT_MEASURED} and ldm.reason == LOST


def test_page_and_markdown_show_it(make_run: Callable[..., Path]) -> None:
    folder = recorded(make_run)
    write_report(folder)
    page, text = ((folder / name).read_text(encoding="utf-8") for name in ("report.html", "report.md"))
    part = page[page.index('id="overhead"') : page.index('id="coverage"')]
    assert "<td>1.050</td>" in part and "the run was &lt;killed&gt; before" in part and "<td>0</td>" not in part
    assert 'href="#overhead"' in page and "took 3.25 s" in part
    assert "| gan | 6 | 14 | 1 | 21 | 1.050 | 2 |" in text and r"- ldm: the run was \<killed\> before" in text


def test_an_older_record_has_no_such_section(run_folder: Path) -> None:
    run = load(run_folder)
    assert overheads(run) == [] and closing(run) == ""
    write_report(run_folder)
    for name in ("report.html", "report.md"):
        assert "Overhead of the suite" not in (run_folder / name).read_text(encoding="utf-8")
