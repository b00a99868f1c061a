"""run.json, metrics.jsonl, events, and finding a run."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from trilemma.errors import UserError
from trilemma.store.events import add_event
from trilemma.store.metric_rows import MetricRow, read_metrics, write_metrics
from trilemma.store.record import SCHEMA, Record, read_record
from trilemma.store.run import Run, find_run


def record(run_id: str = "20260101-000000-aa") -> Record:
    return Record(run_id=run_id, identity="i", created="2026-01-01", spec={"seed": 1}, models={"gan": {}, "var": {}})


def stored(**changes: Any) -> str:
    return json.dumps(asdict(record()) | changes)


def row(**others: Any) -> MetricRow:
    return MetricRow(**{"run_id": "r", "model": "gan", "metric": "fd_scenes", "value": 2.5, "n": 4, **others})


def test_a_record_comes_back_and_later_fields_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    record().write(path)
    assert read_record(path) == record()
    stored = json.loads(path.read_text())
    path.write_text(json.dumps(stored | {"invented_later": 1}))
    assert read_record(path) == record()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "damaged"),
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"schema": "trilemma.run/3"}', 'cannot read the schema "trilemma.run/3".*A newer version'),
        ("{}", "cannot read the schema"),
        ('{"schema": []}', "cannot read the schema"),
        (f'{{"schema": "{SCHEMA}"}}', "damaged"),
        (stored(models=[]), 'damaged: "models" is not what it should be'),
        (stored(models={"gan": None}), '"models" is not'),
        (stored(run_id=None), '"run_id" is not'),
        (stored(partial=0), '"partial" is not'),
        (stored(attempts=True), '"attempts" is not'),
        (stored(status="perfect"), '"status" is not'),
        (stored(files={"metrics.jsonl": 1}), '"files" is not'),
        (stored(schema="trilemma.run/1", errors=[]), "damaged"),
        ("[" * 100_000, "damaged"),
    ],
)
def test_a_damaged_record_is_loud(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UserError, match=message):
        read_record(tmp_path / "run.json")
    assert (tmp_path / "run.json").read_text() == text


def test_a_record_cut_anywhere_is_loud(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    record().write(path)
    whole = path.read_bytes()
    for end in range(len(whole) - 1):  # the last byte is the end of the line
        path.write_bytes(whole[:end])
        with pytest.raises(UserError, match="damaged"):
            read_record(path)


def test_what_ended_a_whole_run_of_schema_1_stood_among_the_models_errors(tmp_path: Path) -> None:
    lost = {"type": "E", "message": "no real images"}
    errors = {"reference": lost, "gan": {"type": "E", "message": "lost"}}
    (tmp_path / "run.json").write_text(stored(schema="trilemma.run/1", errors=errors))
    read = read_record(tmp_path / "run.json")
    assert read.error == lost and read.errors.keys() == {"gan"} and read.schema == "trilemma.run/1"
    read.write(tmp_path / "run.json")
    assert read_record(tmp_path / "run.json").schema == SCHEMA


def test_metric_rows_come_back_and_pandas_alone_reads_them(tmp_path: Path) -> None:
    rows = [row(ci=(2.0, 3.0), se=0.1, params={"k": 5}), row(metric="kid", value=None, status="skipped", reason="few")]
    write_metrics(tmp_path / "metrics.jsonl", rows)
    assert read_metrics(tmp_path / "metrics.jsonl") == rows
    frame = pd.read_json(tmp_path / "metrics.jsonl", lines=True)
    assert frame["value"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    "wrong",
    [
        {"value": None},
        {"value": float("nan")},
        {"value": 0.0, "status": "skipped", "reason": "few"},
        {"value": None, "status": "failed"},
    ],
)
def test_a_row_has_a_value_or_a_reason(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="fd_scenes of gan"):
        row(**wrong)


@pytest.mark.parametrize("line", ["{", '{"model": "a"}', "[]", '{"run_id":"r","model":"m","metric":"x","value":null}'])
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "metrics.jsonl"
    write_metrics(path, [row()])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(UserError, match=r"metrics\.jsonl:2: this line of the record is damaged"):
        read_metrics(path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe"])
def test_metrics_that_are_no_text_are_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "metrics.jsonl").write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        read_metrics(tmp_path / "metrics.jsonl")


def test_a_reason_may_hold_any_character(tmp_path: Path) -> None:
    rows = [row(value=None, status="failed", reason="a\u2028b\x85c\nd")]
    write_metrics(tmp_path / "metrics.jsonl", rows)
    assert read_metrics(tmp_path / "metrics.jsonl") == rows


def test_events_keep_their_order(tmp_path: Path) -> None:
    for number in range(3):
        add_event(tmp_path / "events.jsonl", "tick", number=number)
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [(line["event"], line["number"]) for line in lines] == [("tick", 0), ("tick", 1), ("tick", 2)]


def test_runs_are_found_by_id_beginning_path_and_latest(tmp_path: Path) -> None:
    ids = ["20260101-000000-aa", "20260102-000000-bb", "20260102-000001-cc"]
    for run_id in ids:
        record(run_id).write(tmp_path / run_id / "run.json")
    assert find_run("latest", tmp_path).name == ids[-1]
    assert find_run("20260101", tmp_path).name == ids[0]
    assert find_run(ids[1], tmp_path).name == ids[1]
    assert find_run(str(tmp_path / ids[1]), Path("elsewhere")).name == ids[1]
    for unknown in ("20260102", "nothing", ""):
        with pytest.raises(UserError, match="there is no run"):
            find_run(unknown, tmp_path)
    with pytest.raises(UserError, match="there is no run"):
        find_run("latest", tmp_path / "empty")


def test_a_run_shows_a_table_with_gaps(tmp_path: Path) -> None:
    record().write(tmp_path / "run.json")
    rows = [row(), row(model="var", metric="kid", value=1.0)]
    write_metrics(tmp_path / "metrics.jsonl", rows)
    run = Run(tmp_path)
    assert run.row("gan", "fd_scenes") == rows[0] and run.row("gan", "kid") is None
    table = run.table()
    assert table.loc["gan", "fd_scenes"] == 2.5 and pd.isna(table.loc["var", "fd_scenes"])
    with pytest.raises(UserError, match="missing"):
        run.samples("gan")


def test_a_folder_without_a_record_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="this is no run"):
        Run(tmp_path)
