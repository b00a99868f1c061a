from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trilemma.report import prose
from trilemma.report.record import load


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
