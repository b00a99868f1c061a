"""``report.json``: whole, in a fixed order, without NaN, and with the very numbers of the page."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from trilemma.report import write_report
from trilemma.report.catalog import describe
from trilemma.report.document import SCHEMA, document, plain
from trilemma.report.numbers import quantity, with_error
from trilemma.report.record import load
from trilemma.report.tables import AXES
from trilemma.store.metric_rows import read_metrics

KEYS = [
    "schema", "run", "title", "statement", "warnings", "headline", "models", "scores", "verdicts", "metrics", "claims",
    "timings", "scaling", "coverage", "gaps", "failures", "omissions", "environment", "frontier",
]  # fmt: skip


class Tables(HTMLParser):
    """Collects the tables of a page as rows of texts, each under the class of its table."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[str, list[list[str]]] = {}
        self.name, self.cell = "", False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.name = dict(attrs).get("class") or ""
        elif tag == "tr":
            self.found.setdefault(self.name, []).append([])
        elif tag in ("td", "th"):
            self.found[self.name][-1].append("")
            self.cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self.cell = False

    def handle_data(self, data: str) -> None:
        if self.cell:
            self.found[self.name][-1][-1] += data.replace("\N{NO-BREAK SPACE}", " ")


@dataclass
class Written:
    """Both files of one report."""

    page: str
    told: dict[str, Any]
    folder: Path


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


@pytest.fixture(scope="module")
def written(run_folder: Path) -> Written:
    page = write_report(run_folder).read_text(encoding="utf-8")
    text = (run_folder / "report.json").read_text(encoding="utf-8")
    return Written(page, json.loads(text, parse_constant=refuse), run_folder)


def test_it_is_whole_and_in_order(written: Written) -> None:
    assert list(written.told) == KEYS
    assert written.told["schema"] == SCHEMA == "trilemma.report/1"
    assert written.told["run"]["id"] == "20270101T000000Z-abc123"
    assert [one["model"] for one in written.told["models"]] == load(written.folder).models


def test_equal_runs_give_equal_bytes(written: Written) -> None:
    path = written.folder / "report.json"
    before = path.read_bytes()
    write_report(written.folder)
    assert path.read_bytes() == before


def test_scores_are_those_of_the_page(written: Written) -> None:
    rows = {row[0].split()[0]: row[1:] for row in Tables(written.page).found["scores"] if row[0] != "Model"}
    assert len(rows) == len(written.told["models"]) > 8
    for one in written.told["scores"]:
        cell = rows[one["model"]][list(AXES).index(one["axis"])]
        word = one["status"] if one["score"] is None else with_error(one["score"], one["se"])
        assert cell.startswith(word), one
        assert (one["score"] is None) == bool(one["reason"])


def test_measurements_are_those_of_the_page(written: Written) -> None:
    table = Tables(written.page).found["raw"]
    models = [name.split()[0] for name in table[0][3:]]
    lines = {row[0]: dict(zip(models, row[3:], strict=True)) for row in table[1:] if len(row) > 1}
    checked = 0
    for one in written.told["metrics"]:
        if one["metric"] in AXES.values():
            continue
        (line,) = [cells for head, cells in lines.items() if head.startswith(describe(one["metric"]).title + " ")]
        text = line[one["model"]]
        if one["value"] is None:
            assert one["reason"] and not text[0].isdigit()
        else:
            assert text == quantity(one["value"], one["se"], one["unit"]), one
            checked += 1
    assert checked > 60


def test_every_row_of_the_record_is_there_with_all_its_fields(written: Written) -> None:
    assert written.told["metrics"] == [plain(vars(row)) for row in read_metrics(written.folder / "metrics.jsonl")]


def test_verdicts_and_counts_are_those_of_the_page(written: Written) -> None:
    shown = written.page.replace("\N{NO-BREAK SPACE}", " ")
    for verdict in written.told["verdicts"][:3]:
        text = verdict["sentence"].removeprefix(f"{verdict['model']} ")
        assert text[:1].upper() + text[1:] in shown and verdict["gives_up"]
    (gan,) = [one for one in written.told["coverage"] if one["model"] == "gan"]
    assert gan["whole"]["planned"] == 6144 and gan["whole"]["filtered"] is None


def test_failures_and_environment_are_told(written: Written) -> None:
    assert written.told["failures"][0]["model"] == "broken" and "lost" in written.told["failures"][0]["error"]
    assert written.told["environment"]["digests"]["gan"]["case"] == "c" * 64
    assert written.told["frontier"] is None and written.told["warnings"][0]["title"] == "1 model failed"


def test_text_that_means_harm_stays_text(make_run: Callable[..., Path]) -> None:
    harm = '</script><img src=x onerror=alert(1)> \u202e "'
    folder = make_run(errors={"broken": {"type": "RuntimeError", "message": harm}})
    write_report(folder)
    told = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert next(one for one in told["models"] if one["model"] == "broken")["error"] == f"RuntimeError: {harm}"


def test_what_is_no_number_is_null() -> None:
    assert plain({"a": float("nan"), "b": [float("inf"), 1.5, (2,)], "c": True}) == {
        "a": None, "b": [None, 1.5, [2]], "c": True,
    }  # fmt: skip


def test_a_free_table_of_the_record_may_hold_nan(make_run: Callable[..., Path]) -> None:
    folder = make_run(host={"cpu": "x", "load": float("nan")})
    assert document(load(folder))["environment"]["host"] == {"cpu": "x", "load": None}
    write_report(folder)
    json.loads((folder / "report.json").read_text(encoding="utf-8"), parse_constant=refuse)
