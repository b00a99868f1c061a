"""What was planned and what became of it: every image is counted once, and what is missing has a reason."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic_edges import EDGES, LOST, Edge, write_edge

from trilemma.report import write_report
from trilemma.report.coverage import UNKNOWN, Coverage, coverage
from trilemma.report.gaps import gaps
from trilemma.report.record import Run, load


def of(run: Run, model: str) -> Coverage:
    return next(one for one in coverage(run) if one.model == model)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run in which a model failed, one image of every other one failed, and four were filtered."""
    return load(write_edge(tmp_path_factory.mktemp("coverage") / "run", EDGES["failed-model"]))


def test_every_image_is_counted_once(run: Run) -> None:
    for one in coverage(run):
        for number in (one.whole, *one.sets.values()):
            parts = (number.done, number.failed, number.filtered, number.waiting)
            assert None not in parts and sum(part or 0 for part in parts) == number.planned


def test_filtered_and_failed_images_are_neither_done_nor_hidden(run: Run) -> None:
    gan = of(run, "gan")
    assert gan.whole.texts == ("144", "138", "1", "5", "0")
    assert gan.sets["prompted"].texts == ("48", "48", "0", "0", "0")
    assert gan.sets["within_prompt"].texts == ("48", "42", "1", "5", "0")
    assert gan.state == "complete, 1 failed and 5 filtered"


def test_a_model_that_failed_has_failed_with_all_its_images(run: Run) -> None:
    assert of(run, "var").whole.texts == ("144", "0", "144", "0", "0") and of(run, "var").state == "failed"


def test_an_unfinished_model_has_images_that_were_not_started(tmp_path: Path) -> None:
    run = load(write_edge(tmp_path / "run", EDGES["unfinished"]))
    assert of(run, "var").whole.waiting == 96 and of(run, "var").state == "unfinished"


def test_a_record_without_the_rows_of_its_images_says_so(run_folder: Path) -> None:
    run = load(run_folder)
    assert of(run, "var").whole.texts == ("6,144", "6,144", "0", UNKNOWN, "0")
    assert of(run, "var").sets["prompted"].texts == ("2,048", UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)
    assert of(run, "var").state == "complete" and of(run, "broken").state == "failed"


def test_samples_cut_every_set_as_the_plan_does(make_run: Callable[..., Path]) -> None:
    repeated = {"name": "within", "prompts": "repeated", "split": "prompts", "images": 64, "images_per_prompt": 32}
    protocol = {"name": "p", "sets": [{"name": "prompted", "images": 2048}, repeated]}
    run = load(make_run(spec={"protocol": protocol, "samples": 40}))
    assert {name: one.planned for name, one in of(run, "var").sets.items()} == {"prompted": 40, "within": 32}


def test_a_run_that_only_times_counts_processes(tmp_path: Path) -> None:
    run = load(write_edge(tmp_path / "run", EDGES["speed"]))
    assert of(run, "var").whole.texts == ("3", "2", "0", "0", "1") and of(run, "var").state == "unfinished"
    assert "Processes planned" in write_report(run.folder.path).read_text(encoding="utf-8")


def test_metrics_that_lack_alike_share_a_column_and_a_reason(tmp_path: Path) -> None:
    run = load(write_edge(tmp_path / "run", EDGES["few-images"]))
    found = gaps(run)
    assert found is not None and len(found.columns) == 1 and len(found.columns[0]) == 16
    assert found.notes == ("needs at least 129 samples; there are 8",)
    assert [model for model, _ in found.rows] == run.models and found.silent == ()


def test_a_model_that_lacks_everything_is_one_line_and_no_column(run: Run) -> None:
    found = gaps(run)
    assert found is not None and found.columns == ()
    ((model, cell),) = found.silent
    assert model == "var" and cell.text == "failed" and LOST["message"] in cell.reason


def test_of_a_whole_run_nothing_is_missing(tmp_path: Path) -> None:
    run = load(write_edge(tmp_path / "run", Edge()))
    found = gaps(run)
    assert found is not None and found.columns == () and found.silent == ()
    page = write_report(run.folder.path).read_text(encoding="utf-8")
    assert f"Nothing: each of the {found.metrics} numbers of the run was measured for every model." in page


def test_every_gap_on_the_page_leads_to_its_reason(run_folder: Path) -> None:
    page = write_report(run_folder).read_text(encoding="utf-8")
    part = page[page.index('<section id="coverage"') : page.index('<section id="failures"')]
    links = set(re.findall(r'href="#(gap-\d+)"', part))
    assert links and links == set(re.findall(r'<li id="(gap-\d+)"', part))
    assert "copy rate 0.98 is above" in part
    told = json.loads((run_folder / "report.json").read_text(encoding="utf-8"))["gaps"]
    assert {
        ("memorizer", "score_quality", "withheld"),
        ("gan", "fid", "skipped"),
        ("broken", "fd_scenes", "failed"),
    } <= {(one["model"], one["metric"], one["status"]) for one in told}
    assert all(one["reason"] for one in told)
