from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from trilemma.errors import UserError
from trilemma.report import tables
from trilemma.report.record import load


def test_scores_have_a_row_for_every_model_and_axis(run_folder: Path) -> None:
    scores = tables.scores(load(run_folder))
    assert not scores.duplicated(["model", "axis"]).any()
    assert len(scores) == 9 * 4
    keyed = scores.set_index(["model", "axis"])
    assert keyed.loc[("var", "quality"), "score"] == 7.4
    assert keyed.loc[("memorizer", "quality"), "status"] == "withheld"
    assert keyed.loc[("broken", "speed"), "reason"] == "the model failed: RuntimeError: tensor <a> is lost"


def test_missing_scores_are_nan_and_have_a_reason(run_folder: Path) -> None:
    scores = tables.scores(load(run_folder))
    absent = scores[scores["status"] != "ok"]
    assert len(absent) > 0
    assert absent[["score", "se", "ci_low", "ci_high"]].isna().all(axis=None)
    assert (absent["reason"] != "").all()
    assert scores.loc[scores["status"] == "ok", "score"].notna().all()


def test_contestants_come_before_controls(run_folder: Path) -> None:
    run = load(run_folder)
    controls = [run.is_control(model) for model in run.models]
    assert controls == sorted(controls)
    assert [run.place(model) for model in run.models] == [0, 1, 2, 3, 4, -1, -1, -1, -1]


def test_raw_table_is_keyed_and_in_the_order_of_the_catalogue(run_folder: Path) -> None:
    raw = tables.raw_table(load(run_folder))
    assert [title for title, _ in raw.groups] == ["Quality", "Diversity", "Speed", "About the model"]
    rows = [row for _, group in raw.groups for row in group]
    assert [row.described.title for row in rows[:3]] == ["FD-Scenes", "Kernel distance", "Prompt accuracy"]
    assert rows[0].arrow == "↓"
    assert rows[0].n == "2,048"
    assert all(len(row.cells) == len(raw.models) for row in rows)
    assert not any("score" in row.described.title.lower() for row in rows)


def test_every_null_has_a_footnote_with_its_reason(run_folder: Path) -> None:
    raw = tables.raw_table(load(run_folder))
    cells = [cell for _, rows in raw.groups for row in rows for cell in row.cells if not cell.measured]
    assert cells
    for cell in cells:
        assert cell.note is not None
        assert raw.notes[cell.note - 1] == cell.reason
        assert not any(character.isdigit() for character in cell.text)


def test_a_metric_at_two_settings_has_two_rows(make_run: Callable[..., Path]) -> None:
    folder = make_run()
    path = folder / "metrics.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    recall = next(line for line in lines if line["metric"] == "prompt_accuracy") | {"metric": "recall"}
    more = [recall | {"params": {"k": k}, "value": k / 10} for k in (3, 5)]
    path.write_text("".join(json.dumps(line) + "\n" for line in [*lines, *more]))
    rows = dict(tables.raw_table(load(folder)).groups)["Diversity"]
    variants = {row.variant: row.cells[0].text for row in rows if row.described.title == "Recall"}
    assert variants == {"k 3": "0.300 ± 0.006", "k 5": "0.500 ± 0.006"}


def test_failures_hide_nothing(run_folder: Path) -> None:
    run = load(run_folder)
    assert [what for _, what, _ in tables.failures(run)] == ["the whole worker", "1 × prompted image (error)"]
    assert len(tables.omissions(run)) == 3


def test_failure_of_the_reference_is_reported(make_run: Callable[..., Path]) -> None:
    run = load(make_run(error={"type": "KilledError", "message": "killed by SIGKILL"}))
    assert ("run", "the whole run", "KilledError: killed by SIGKILL") in tables.failures(run)
    assert "reference" not in run.models


def test_sweep_is_in_images_per_second(run_folder: Path) -> None:
    sweep = tables.sweep(load(run_folder))
    first = sweep[(sweep["model"] == "gan") & ~sweep["reference"]].iloc[0]
    assert first["images_per_second"] == pytest.approx(1 / (1e-3 * 5))
    medians = tables.sweep_medians(sweep)
    assert list(medians.columns) == [1, 16, 64]
    assert list(medians.index) == ["gan", "reference decoder", "var", "ldm"]


def test_no_run_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="run.json"):
        load(tmp_path)
