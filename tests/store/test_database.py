"""SQL over all runs: what the views hold, what damage does, and what cannot be done with it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from trilemma.errors import UserError
from trilemma.store import metric_index
from trilemma.store.database import VIEWS, Database
from trilemma.store.metric_rows import MetricRow
from trilemma.store.sql import TYPES
from trilemma.store.tables import METRICS

FILE = ".index/metrics-1.parquet"


def ask(runs: Path, sql: str, **options: Any) -> list[tuple[Any, ...]]:
    return Database(runs, sql, **options).select().rows


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("folder", ["golden_runs", "runs", "nothing"])
def test_the_columns_are_those_that_are_declared(view: str, folder: str, request: pytest.FixtureRequest) -> None:
    runs = request.getfixturevalue(folder) if folder != "nothing" else Path("nothing")
    found = {name: kind for name, kind, *_ in ask(runs, f"DESCRIBE {view}")}
    assert found == {name: TYPES[kind] for name, kind in VIEWS[view].items()}


def test_metrics_have_every_field_of_a_metric_row() -> None:
    names = {field.name for field in fields(MetricRow)}
    assert {*METRICS} - {"ci_low", "ci_high"} == names - {"ci"}


def test_runs_and_metrics_are_joined_by_the_name_of_the_folder(runs: Path) -> None:
    (runs / "20270101-000000-a").rename(runs / "it's a copy")
    sql = "SELECT run_id, value, ci_low, params->>'k', created, models FROM metrics JOIN runs USING (run_id)"
    rows = ask(runs, f"{sql} WHERE metric = 'kid' ORDER BY value")
    assert [row[:2] for row in rows] == [("it's a copy", 1.0), ("20270102-000000-b", 2.0), ("20270103-000000-c", 3.0)]
    assert rows[0][2:4] == (0.8, "5") and rows[0][4] == datetime(2027, 1, 1) and rows[0][5] == ["gan", "ldm"]
    assert ask(runs, "SELECT DISTINCT reason, status FROM metrics WHERE value IS NULL") == [
        ("no\u2028weights", "skipped")
    ]


def test_rows_are_what_the_reader_of_a_run_gives(golden_runs: Path) -> None:
    from trilemma.store.run import Run

    for name in ("run-1", "run-2"):
        answer = Database(golden_runs, f"SELECT * FROM metrics WHERE run_id = '{name}'").select()
        rows = Run(golden_runs / name).rows
        assert len(answer.rows) == len(rows)
        for record, row in zip(answer.records(), rows, strict=True):
            for column in ("model", "metric", "value", "se", "n", "series", "status", "reason", "replicates"):
                assert record[column] == getattr(row, column)
            assert json.loads(record["params"]) == row.params
            assert (record["ci_low"], record["ci_high"]) == (row.ci or (None, None))


def test_samples_and_timings_of_every_schema(golden_runs: Path) -> None:
    sql = "SELECT run_id, model, count(*), count(width), count(DISTINCT image_sha256) FROM samples GROUP BY ALL"
    assert sorted(ask(golden_runs, sql)) == [("run-1", "tiny", 72, 0, 72), ("run-2", "linear", 72, 72, 72)]
    sql = "SELECT run_id, count(*), count(session) FROM timings WHERE model <> 'reference' GROUP BY ALL"
    old, new = sorted(ask(golden_runs, sql))
    assert old[0] == "run-1" and old[2] == 0 and new[0] == "run-2" and new[1] == new[2] > 0
    assert ask(golden_runs, "SELECT count(*) FROM timings WHERE run_id = 'run-2' AND warmup") == [(5,)]


def test_a_file_that_lacks_a_column_is_read_all_the_same(golden_runs: Path) -> None:
    other = shutil.copytree(golden_runs / "run-2", golden_runs / "run-3")
    path = other / "samples" / "linear.parquet"
    pq.write_table(pq.ParquetFile(path).read().drop_columns(["width", "node"]), path)
    sql = "SELECT run_id, count(*), count(width) FROM samples GROUP BY ALL"
    assert sorted(ask(golden_runs, sql)) == [("run-1", 72, 0), ("run-2", 72, 72), ("run-3", 72, 0)]


def test_only_some_runs_can_be_looked_at(runs: Path) -> None:
    (runs / "20270103-000000-c" / "run.json").write_text("{")
    sql = "SELECT runs.run_id, count(*) FROM runs JOIN metrics USING (run_id) GROUP BY ALL"
    assert ask(runs, sql, only={"20270102-000000-b"}) == [("20270102-000000-b", 2)]
    with pytest.raises(UserError, match="damaged"):
        ask(runs, sql, only={"20270103-000000-c"})
    assert ask(runs, "SELECT count(*) FROM metrics", only={"20270102-000000-b"}) == [(2,)]
    kept = pq.ParquetFile(runs / FILE).read().column("run_id").to_pylist()
    assert set(kept) == {"20270101-000000-a", "20270102-000000-b"}  # the index is of all that can be read
    (runs / "20270101-000000-a" / "metrics.jsonl").write_text("{")
    assert ask(runs, sql, only={"20270102-000000-b"}) == [("20270102-000000-b", 2)]


def test_only_new_and_changed_metrics_are_read(
    runs: Path, make_run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = "SELECT run_id, value FROM metrics WHERE metric = 'kid' ORDER BY 1"
    staged: list[list[str]] = []
    stage = metric_index._stage
    monkeypatch.setattr(
        metric_index, "_stage", lambda c, r, names, at: (staged.append(list(names)), stage(c, r, names, at))
    )
    before = ask(runs, sql)
    assert ask(runs, sql) == before and [len(names) for names in staged] == [3]
    make_run(runs, "20270104-000000-d", 4.0)
    path = runs / "20270102-000000-b" / "metrics.jsonl"
    path.write_text(path.read_text().replace("2.0", "2.25"))
    shutil.rmtree(runs / "20270101-000000-a")
    after = [("20270102-000000-b", 2.25), ("20270103-000000-c", 3.0), ("20270104-000000-d", 4.0)]
    assert ask(runs, sql) == after and sorted(staged[1]) == ["20270102-000000-b", "20270104-000000-d"]
    assert ask(runs, sql) == after and len(staged) == 2


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_a_damaged_index_is_made_anew(runs: Path, content: bytes) -> None:
    sql = "SELECT * FROM metrics ORDER BY ALL"
    before = ask(runs, sql)
    whole = (runs / FILE).read_bytes()
    (runs / FILE).write_bytes(content)
    assert ask(runs, sql) == before and len((runs / FILE).read_bytes()) == len(whole)


def test_an_index_of_other_columns_is_made_anew(runs: Path) -> None:
    sql = "SELECT * FROM metrics ORDER BY ALL"
    before = ask(runs, sql)
    pq.write_table(pq.ParquetFile(runs / FILE).read().drop_columns(["value"]), runs / FILE)
    assert ask(runs, sql) == before


def test_without_a_place_for_an_index_everything_is_read_every_time(runs: Path) -> None:
    (runs / ".index").write_text("in the way")
    for _ in range(2):
        assert ask(runs, "SELECT count(*) FROM metrics") == [(6,)]
    assert (runs / ".index").read_text() == "in the way"


ROW = '{"run_id": "r", "model": "m", "metric": "x", "value": 1.0, "status": "ok"}'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{\n",
        "{}\n",
        "[]\n",
        "null\n",
        f"{ROW}\n{ROW[:-1]}",
        f"{ROW}\n{ROW[:-10]}\n",
        ROW.replace('"model": "m", ', ""),
        ROW.replace("1.0", "null"),
        ROW.replace("1.0", "NaN"),
        ROW.replace("1.0", '"one"'),
        ROW.replace('"ok"', '"failed"'),
        ROW.replace('"value": 1.0, "status": "ok"', '"value": null, "status": "failed", "reason": ""'),
    ],
)
def test_damaged_metrics_are_a_loud_error_or_left_out(runs: Path, text: str) -> None:
    damaged = runs / "20270102-000000-b" / "metrics.jsonl"
    damaged.write_text(text)
    sql = "SELECT DISTINCT run_id FROM metrics ORDER BY 1"
    for _ in range(2):
        with pytest.raises(UserError, match="damaged") as raised:
            ask(runs, sql)
        assert str(damaged) in str(raised.value) and "--skip-damaged" in str(raised.value)
        database = Database(runs, sql, skip_damaged=True)
        assert database.select().rows == [("20270101-000000-a",), ("20270103-000000-c",)]
        assert [str(damaged) in str(error) for error in database.left_out] == [True]
    assert damaged.read_text() == text
    assert len(ask(runs, "SELECT * FROM runs")) == 3  # what does not need it does not mind


def test_damaged_records_are_a_loud_error_or_left_out(runs: Path) -> None:
    for name in ("20270101-000000-a", "20270102-000000-b"):
        (runs / name / "run.json").write_text("{")
    with pytest.raises(UserError, match=r"20270101-000000-a.*damaged.*\(1 more are, too\.\)"):
        ask(runs, "SELECT * FROM runs")
    assert ask(runs, "SELECT DISTINCT run_id FROM metrics", skip_damaged=True) == [("20270103-000000-c",)]


@pytest.mark.parametrize("view", ["samples", "timings"])
@pytest.mark.parametrize("content", [b"", b"PAR1", "torn"])
def test_damaged_parquet_files_are_a_loud_error_or_left_out(golden_runs: Path, view: str, content: Any) -> None:
    damaged = golden_runs / "run-2" / view / "linear.parquet"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:100] + bytes(1000) + whole[1100:] if content == "torn" else content)
    # Of a file that is torn in the middle only those columns are missed that are asked for: here all.
    sql = f"SELECT run_id, max(model) FROM (SELECT DISTINCT * FROM {view} WHERE model IN ('tiny', 'linear')) GROUP BY 1"
    with pytest.raises(UserError, match="damaged") as raised:
        ask(golden_runs, sql)
    assert raised.value.where == str(damaged)
    database = Database(golden_runs, sql, skip_damaged=True)
    assert database.select().rows == [("run-1", "tiny")]
    assert [error.where for error in database.left_out] == [str(damaged)]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELEC 1", "Parser Error: syntax error"),
        ("SELECT foo FROM runs", 'Referenced column "foo" not found'),
        ("SELECT * FROM runz", 'Did you mean "runs"'),
        ("SELECT 'a'::INT", "Could not convert"),
        ("SELECT a.value FROM metrics a JOIN", "syntax error"),
        ("", "only one SELECT"),
        ("SELECT 1; SELECT 2", "only one SELECT"),
        ("DROP TABLE runs", "only one SELECT"),
        ("PRAGMA database_list", "only one SELECT"),
        ("INSTALL httpfs", "only one SELECT"),
        ("SET threads = 1", "only one SELECT"),
        ("ATTACH 'other.db'", "only one SELECT"),
        ("COPY runs TO 'out.csv'", "only one SELECT"),
        ("EXPLAIN ANALYZE COPY runs TO 'out.csv'", "only one SELECT"),
        ("SELECT * FROM read_text('secret.txt')", "file system operations are disabled"),
        ("SELECT * FROM 'secret.csv'", "file system operations are disabled"),
        ("SELECT * FROM glob('*')", "file system operations are disabled"),
        ("SELECT * FROM rows", "does not exist"),
        ("SELECT * FROM samples, read_text('secret.txt')", "file system operations are disabled"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_else_can_be_reached(
    golden_runs: Path, sql: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    rows = [(1,)]  # a variable of this program is no table
    with pytest.raises(UserError, match=message) as raised:
        ask(golden_runs, sql)
    assert "\n" not in str(raised.value) and sorted(tmp_path.iterdir()) == before and rows


def test_a_thousand_runs(thousand: Path) -> None:
    sql = "SELECT count(*), sum(value), count(DISTINCT run_id) FROM metrics JOIN runs USING (run_id)"
    for _ in range(2):  # without an index, and with one
        assert ask(thousand, sql) == [(2000, 999 * 500, 1000)]
