from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from trilemma.report.markdown import escape, grid, markdown
from trilemma.report.page import html
from trilemma.report.record import load


@pytest.fixture(scope="module")
def text(run_folder: Path) -> str:
    return markdown(load(run_folder))


def test_tables_are_well_formed(text: str) -> None:
    tables = re.findall(r"(?:^\|.*\|$\n?)+", text, re.MULTILINE)
    assert len(tables) >= 6
    for table in tables:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1, table
        assert re.fullmatch(r"\| ---( \| ---:)* \|", table.splitlines()[1])


def test_score_table_is_keyed_by_model(text: str) -> None:
    assert "| var | 7.40 ± 0.12 | 7.90 ± 0.12 | 6.30 ± 0.12 | 5.30 ± 0.12 |" in text
    assert "| memorizer (control) | withheld | withheld | withheld | not measured |" in text
    assert "| broken | failed | failed | failed | failed |" in text


def test_every_null_has_its_reason(text: str) -> None:
    notes = [int(note) for note in re.findall(r"\\\[(\d+)\\\]", text)]
    listed = [int(note) for note in re.findall(r"^(\d+)\. ", text, re.MULTILINE)]
    assert set(notes) == set(listed)
    assert "- memorizer: quality, diversity, speed withheld, copy rate 0.98" in text


def test_text_cannot_leave_its_cell() -> None:
    evil = "a | b\n<script> & `x` [y](z)"
    assert grid(["A"], [[evil]]).count("\n") == 2
    assert escape(evil) == r"a \| b \<script\> &amp; \`x\` \[y\](z)"


def test_random_weights_are_told_with_the_name(make_run: Callable[..., Path]) -> None:
    folder = make_run()
    record = json.loads((folder / "run.json").read_text())
    record["cards"]["var"]["weights"] = "random"
    (folder / "run.json").write_text(json.dumps(record))
    told, page = markdown(load(folder)), html(load(folder))
    assert "| var (random weights) | 7.40" in told and "| gan | " in told
    assert page.count('<span class="tag">random weights</span>') >= 3


def test_errors_and_stamps_are_told(text: str) -> None:
    assert "> **1 model failed**" in text
    assert r"RuntimeError: tensor \<a\> is lost" in text
