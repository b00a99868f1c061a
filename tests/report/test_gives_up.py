from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from trilemma.report import gives_up, tables
from trilemma.report.measures import CORNERS
from trilemma.report.record import Run, load


def score_rows(*scores: float | None, model: str = "m", se: float = 0.1) -> pd.DataFrame:
    rows = [
        {"model": model, "control": False, "axis": axis, "score": float("nan") if score is None else score,
         "se": float("nan") if score is None else se, "status": "ok" if score is not None else "withheld",
         "reason": "" if score is not None else "it copies"}
        for axis, score in zip(CORNERS, scores, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def run(run_folder: Path) -> Run:
    return load(run_folder)


def text_of(run: Run, rows: pd.DataFrame) -> str:
    return gives_up.verdict(run, "m", rows).text


@pytest.mark.parametrize(
    ("scores", "says", "lost"),
    [
        ((8.0, 3.0, 9.0), "gives up diversity (3.00 ± 0.10 of 10) for speed (9.00 ± 0.10).", ("diversity",)),
        ((0.0, 3.0, 9.0), "gives up quality (0.00 ± 0.10 of 10) for speed (9.00 ± 0.10).", ("quality",)),
        ((8.0, 3.0, 3.1),
         "gives up diversity (3.00 ± 0.10 of 10) and speed (3.10 ± 0.10 of 10), which cannot be told apart, for",
         ("diversity", "speed")),
        ((3.0, 8.0, 8.1), "gives up quality (3.00 ± 0.10 of 10) for diversity (8.00 ± 0.10) and speed (8.10 ± 0.10).",
         ("quality",)),
        ((5.0, 5.1, 5.2), "gives up none of the three more than another: quality 5.00 ± 0.10, diversity", ()),
        ((9.5, 9.2, 9.9), "gives up little: quality 9.50 ± 0.10, diversity 9.20 ± 0.10 and speed 9.90 ± 0.10 of", ()),
    ],
)  # fmt: skip
def test_verdict_names_what_is_lowest_beyond_its_error(
    run: Run, scores: tuple[float, ...], says: str, lost: tuple[str, ...]
) -> None:
    verdict = gives_up.verdict(run, "m", score_rows(*scores))
    assert verdict.text.startswith(says)
    assert verdict.lost == lost


def test_verdict_carries_the_raw_numbers_and_what_they_fall_short_of(run: Run) -> None:
    sentences = {verdict.model: verdict.sentence for verdict in gives_up.verdicts(run, tables.scores(run))}
    gan = sentences["gan"]
    assert gan.startswith("gan gives up diversity (4.20 ± 0.12 of 10) for speed (9.60 ± 0.12): ")
    assert "spread within prompts 0.930 ± 0.012 (real images: 0.930 ± 0.012)" in gan
    assert gan.endswith(", at 812 ± 14 images/s.")
    assert "gives up speed (4.10 ± 0.12 of 10)" in sentences["ldm"]
    assert "FD-Scenes" not in sentences["gan"]


def test_speed_is_told_beside_the_fastest_model(make_run: Callable[..., Path]) -> None:
    folder = make_run()
    path = folder / "metrics.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        if (row["model"], row["metric"]) == ("gan", "images_per_second"):
            row["value"] = 4000.0
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = load(folder)
    sentences = {verdict.model: verdict.text for verdict in gives_up.verdicts(run, tables.scores(run))}
    assert "812 ± 14 images/s (gan: 4,000 ± 14)" in sentences["ldm"]
    assert "(gan:" not in sentences["gan"]


def test_verdict_does_not_judge_without_all_scores(run: Run) -> None:
    text = text_of(run, score_rows(8.0, None, 9.0))
    assert text.startswith("cannot be judged without all three scores: quality 8.00 ± 0.10 and speed 9.00 ± 0.10;")
    assert "diversity withheld (it copies)" in text


def test_verdict_of_a_withheld_model_gives_the_reason_once(run: Run) -> None:
    assert text_of(run, score_rows(None, None, None)) == "has no scores: withheld, it copies."


def test_a_reason_that_is_a_sentence_ends_once(run: Run) -> None:
    assert (
        text_of(run, score_rows(None, None, None).assign(reason="It copies.")) == "has no scores: withheld, It copies."
    )


def test_a_reason_of_any_length_leaves_a_sentence(run: Run) -> None:
    text = text_of(run, score_rows(None, None, None).assign(reason="x" * 10_000))
    assert len(text) < 300
    assert text.endswith("….")


def test_controls_get_no_verdict(run: Run) -> None:
    assert gives_up.verdicts(run, score_rows(1.0, 2.0, 3.0).assign(control=True)) == []


def headline(run: Run, **scores: tuple[float | None, ...]) -> str:
    return gives_up.headline(run, pd.concat([score_rows(*three, model=model) for model, three in scores.items()]))


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        ({"a": (9.0, 3.0, 2.0), "b": (4.0, 8.0, 8.0)},
         "Of 2 models, none has all three: best are a in quality (9.00 ± 0.10 of 10), b in diversity"),
        ({"a": (9.0, 8.05, 2.0), "b": (4.0, 8.0, 8.0)},
         "a and b in diversity (8.05 ± 0.10 and 8.00 ± 0.10, not told apart)"),
        ({"a": (9.0, 9.0, 9.0), "b": (4.0, 8.0, 8.0)}, "Of 2 models, a gives up least: best are a in quality"),
        ({"a": (5.0, 5.0, 5.0), "b": (5.1, 5.1, 4.9)}, "The 2 models cannot be told apart in any of the three scores."),
        ({"a": (9.0, 3.0, 2.0), "b": (4.0, 8.0, 8.0), "c": (9.9, None, 9.9)},
         "Of 2 models, none has all three: best are a"),
    ],
)  # fmt: skip
def test_headline_says_who_is_best_at_what(run: Run, scores: dict[str, Any], says: str) -> None:
    assert says in headline(run, **scores)


def test_one_model_needs_no_headline(run: Run) -> None:
    assert headline(run, a=(9.0, 3.0, 2.0)) == ""
    assert headline(run, a=(9.0, 3.0, 2.0), b=(9.0, None, 2.0)) == ""
