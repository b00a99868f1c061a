from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trilemma.report import prose
from trilemma.report.record import Run, load


def test_statement_names_protocol_sizes_and_machine(run_folder: Path) -> None:
    text = prose.statement(load(run_folder))
    assert "5 models and 4 controls ran the protocol scenes (version 1)" in text
    assert "2,048 prompted and 2,048 unconditional images each" in text
    assert "10,000 real images" in text
    assert "2 cores of Some <CPU> @ 2 GHz" in text
    assert "Started 2027-01-01 00:00:00 UTC, ended 2027-01-01 00:07:12 UTC." in text


@pytest.mark.parametrize(
    ("changes", "titles"),
    [
        ({"errors": {}}, []),
        ({"errors": {}, "status": "cancelled"}, ["Cancelled"]),
        ({"errors": {}, "status": "started"}, ["Unfinished"]),
        ({"errors": {}, "partial": True}, ["Partial sets"]),
        ({"errors": {}, "error": {"type": "E", "message": "m"}}, ["No numbers"]),
        ({"status": "failed", "partial": True}, ["Failed", "Partial sets", "1 model failed"]),
    ],
)
def test_stamps(make_run: Callable[..., Path], changes: dict[str, Any], titles: list[str]) -> None:
    assert [stamp.title for stamp in prose.stamps(load(make_run(**changes)))] == titles


def with_reference(run: Run, images: int | None, **reference: Any) -> Run:
    """The run with a distance to so many real images; None where a file of statistics does not say how many."""
    protocol = run.record.spec["protocol"]
    spec = run.record.spec | {"protocol": protocol | {"reference": {"images": 50_000} | reference}}
    rows = tuple(replace(row, n_reference=images) for row in run.rows if row.metric == "fd_scenes")
    return replace(run, record=replace(run.record, spec=spec), rows=rows)


def test_what_quality_is_measured_against_is_what_it_was_measured_against(run_folder: Path) -> None:
    run = load(run_folder)
    assert "against 9,000 real images." in prose.statement(with_reference(run, 9_000))
    statistics = prose.statement(with_reference(run, None, features="adm.npz"))
    assert "against published statistics of real images." in statistics and "50,000" not in statistics
    assert "against 50,000 real images." in prose.statement(replace(with_reference(run, 9_000), rows=()))


@pytest.mark.parametrize(
    ("sets", "main"),
    [(["prompted", "b"], "prompted"), (["a", "prompted"], "prompted"), (["a", "b"], "a"), ([], "prompted")],
)
def test_one_set_stands_for_the_models(run_folder: Path, sets: list[str], main: str) -> None:
    run = load(run_folder)
    protocol = run.record.spec["protocol"] | {"sets": [{"name": name, "images": 4} for name in sets]}
    spec = run.record.spec | {"protocol": protocol}
    assert replace(run, record=replace(run.record, spec=spec)).main_set == main
