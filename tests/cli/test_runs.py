"""The verbs over all runs: ``runs``, ``query`` and ``export``."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from trilemma.cli import main
from trilemma.cli.query import plain

GOLDEN = Path(__file__).resolve().parents[1] / "store" / "golden"
NAMES = ["run-1", "run-2"]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path / "runs"))


def test_runs_are_listed_newest_first(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--out", str(runs), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [row["run_id"] for row in listed] == ["run-2", "run-1"]
    assert main(["runs", "--out", str(runs)]) == 0
    printed = capsys.readouterr()
    heading, second, first = printed.err.splitlines()
    assert printed.out == "" and heading.split()[0] == "run"
    assert second.split()[:1] == ["run-2"] and "complete" in second and "72 of 72 (partial)" in second
    assert "failed" in first and "120 of 144 (partial)" in first and first.endswith("tiny, crashing")
    assert first.index("failed") == second.index("complete")


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--models", "tiny"], ["run-1"]),
        (["--models", "tiny, crashing"], ["run-1"]),
        (["--models", "tiny,linear"], []),
        (["--status", "complete"], ["run-2"]),
        (["--protocol", "small"], ["run-2", "run-1"]),
        (["--protocol", "scenes"], []),
        (["--limit", "1"], ["run-2"]),
        (["--status", "failed", "--limit", "1"], ["run-1"]),
    ],
)
def test_runs_can_be_chosen(
    runs: Path, options: list[str], names: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["runs", "--out", str(runs), "--json", *options]) == 0
    assert [row["run_id"] for row in json.loads(capsys.readouterr().out)] == names


def test_a_damaged_run_is_listed_and_the_exit_code_is_1(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (runs / "run-2" / "run.json").write_text("{")
    assert main(["runs", "--out", str(runs)]) == 1
    printed = capsys.readouterr().err
    assert "run-2  –" in printed and "run-2 is damaged" in printed and str(runs / "run-2" / "run.json") in printed
    assert main(["runs", "--out", str(runs), "--json", "--status", "damaged"]) == 1
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["run_id"], row["status"]) == ("run-2", "damaged") and "damaged" in row["error"]
    assert main(["runs", "--out", str(runs), "--models", "tiny"]) == 1  # it may be one of those that were asked for


def test_there_may_be_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--out", str(tmp_path / "nothing"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [] and not (tmp_path / "nothing").exists()


SQL = "SELECT run_id, model, value FROM metrics WHERE metric = 'evaluations_per_image' AND value > 0 ORDER BY run_id"


def test_query(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", SQL, "--out", str(runs), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {"run_id": "run-1", "model": "tiny", "value": 2.0},
        {"run_id": "run-2", "model": "linear", "value": 2.0},
    ]
    assert main(["query", SQL, "--out", str(runs)]) == 0
    printed = capsys.readouterr()
    assert printed.out == "" and "run-1" in printed.err and "linear" in printed.err
    assert main(["query", SQL, "--out", str(runs), "--csv", str(tmp_path / "a.csv")]) == 0
    assert (tmp_path / "a.csv").read_text() == "run_id,model,value\nrun-1,tiny,2.0\nrun-2,linear,2.0\n"


def test_a_markup_in_an_answer_is_text(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", "SELECT '[red]x[/red]' AS \"[bold]\", NULL AS nothing", "--out", str(runs)]) == 0
    printed = capsys.readouterr().err
    assert "[red]x[/red]" in printed and "[bold]" in printed and "–" in printed


def test_values_of_sql_as_json() -> None:
    from datetime import datetime
    from decimal import Decimal

    value = {"a": [float("nan"), 1.5, None, True], "b": datetime(2027, 1, 2), "c": Decimal("0.5"), "d": b"x"}
    assert plain(value) == {"a": [None, 1.5, None, True], "b": "2027-01-02T00:00:00", "c": 0.5, "d": "b'x'"}


@pytest.mark.parametrize("json_too", [[], ["--json"]])
def test_the_schema_needs_no_runs(json_too: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", "--schema", *json_too]) == 0
    printed = capsys.readouterr()
    if json_too:
        assert json.loads(printed.out)["metrics"]["value"] == "DOUBLE"
    else:
        assert "samples: run_id VARCHAR" in printed.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["query"], "error: there is nothing to run. Give a SELECT"),
        (["query", "SELEC"], "error: Parser Error"),
        (["query", "DELETE FROM runs"], "error: only one SELECT can be run here"),
        (["query", "SELECT vlue FROM metrics"], 'error: Binder Error: Referenced column "vlue"'),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    runs: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--out", str(runs)]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith(message) and printed.err.count("\n") == 1


def test_query_refuses_a_damaged_record_or_says_what_it_left_out(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = runs / "run-2" / "run.json"
    damaged.write_text("{")
    assert main(["query", SQL, "--out", str(runs), "--json"]) == 2
    assert str(damaged) in capsys.readouterr().err
    assert main(["query", SQL, "--out", str(runs), "--json", "--skip-damaged"]) == 0
    printed = capsys.readouterr()
    assert [row["run_id"] for row in json.loads(printed.out)] == ["run-1"]
    assert printed.err.startswith(f"left out: {damaged}")


def test_export_as_a_table(runs: Path, tmp_path: Path) -> None:
    where = ["--runs", str(runs)]
    assert main(["export", "--all", *where, "--to", "csv", "--out", str(tmp_path / "t.csv")]) == 0
    lines = list(csv.DictReader((tmp_path / "t.csv").open()))
    assert {line["run_id"] for line in lines} == set(NAMES)
    assert main(["export", "latest", *where, "--to", "parquet", "--out", str(tmp_path / "t.parquet")]) == 0
    frame = pd.read_parquet(tmp_path / "t.parquet")
    assert set(frame["run_id"]) == {"run-2"} and len(frame) == sum(line["run_id"] == "run-2" for line in lines)
    assert str(frame["created"].dtype).startswith("datetime64") and frame["value"].dtype == float
    assert frame["value"].isna().any() and json.loads(frame["params"][0]) is not None


def test_export_for_other_tools(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "deep" / "x.json"
    assert main(["export", str(runs / "run-2"), "--to", "pytest-benchmark", "--out", str(out)]) == 0
    assert {entry["params"]["model"] for entry in json.loads(out.read_text())["benchmarks"]} == {"linear"}
    assert main(["export", "run-2", "--runs", str(runs), "--to", "github-action", "--out", str(out)]) == 0
    printed = capsys.readouterr().err
    assert "left out: linear/fid: Inception's weights are not at hand" in printed
    for which in ("bigger", "smaller"):
        entries = json.loads((out.parent / f"x.{which}.json").read_text())
        assert entries and all({"name", "unit", "value"} <= entry.keys() for entry in entries)
        assert str(out.parent / f"x.{which}.json") in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "csv"], "name runs, or give --all"),
        (["--to", "csv", "--all", "latest"], "name runs, or give --all"),
        (["--to", "cvs", "--all"], '--to: there is no form "cvs". Did you mean "csv"?'),
        (["--to", "pytest-benchmark", "--all"], "this form holds one run to a file"),
        (["--to", "github-action", "run-1", "run-2"], "this form holds one run to a file"),
        (["--to", "csv", "run-3"], 'there is no run "run-3"'),
    ],
)
def test_an_export_that_makes_no_sense_writes_nothing(
    runs: Path, tmp_path: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out" / "x"
    assert main(["export", *arguments, "--runs", str(runs), "--out", str(out)]) == 2
    assert message in capsys.readouterr().err and not out.parent.exists()


def test_a_run_that_was_not_timed_has_no_timings_to_export(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(runs / "run-2" / "timings")
    arguments = ["export", "run-2", "--runs", str(runs), "--to", "pytest-benchmark", "--out", str(tmp_path / "x.json")]
    assert main(arguments) == 2
    assert "nothing was timed" in capsys.readouterr().err and not (tmp_path / "x.json").exists()
