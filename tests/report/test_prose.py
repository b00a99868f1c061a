from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from trilemma.report import prose
from trilemma.report.record import load


def score_rows(*scores: float | None, se: float = 0.1) -> pd.DataFrame:
    rows = [
        {"model": "m", "control": False, "axis": axis, "score": float("nan") if score is None else score,
         "se": float("nan") if score is None else se, "status": "ok" if score is not None else "withheld",
         "reason": "" if score is not None else "it copies"}
        for axis, score in zip(prose.AXES, scores, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        ((8.0, 3.0, 9.0), "m gives up diversity: quality 8.00 ± 0.10, diversity 3.00 ± 0.10 and speed 9.00 ± 0.10."),
        ((8.0, 3.0, 3.1), "m gives up diversity and speed, which cannot be told apart"),
        ((5.0, 5.1, 5.2), "m gives up none of the three more than another"),
        ((9.5, 9.2, 9.9), "m gives up little"),
        ((0.0, 3.0, 9.0), "m gives up quality"),
    ],
)
def test_verdict_names_what_is_lowest_beyond_its_error(scores: tuple[float, ...], says: str) -> None:
    assert prose.verdict("m", score_rows(*scores)).startswith(says)


def test_verdict_does_not_judge_without_all_scores() -> None:
    sentence = prose.verdict("m", score_rows(8.0, None, 9.0))
    assert sentence.startswith("What m gives up cannot be told")
    assert "diversity withheld (it copies)" in sentence


def test_verdict_of_a_withheld_model_gives_the_reason_once() -> None:
    assert prose.verdict("m", score_rows(None, None, None)) == "m has no scores: withheld, it copies."


def test_a_reason_that_is_a_sentence_ends_once() -> None:
    rows = score_rows(None, None, None).assign(reason="It copies.")
    assert prose.verdict("m", rows) == "m has no scores: withheld, It copies."


def test_controls_get_no_verdict() -> None:
    assert prose.verdicts(score_rows(1.0, 2.0, 3.0).assign(control=True)) == []


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
