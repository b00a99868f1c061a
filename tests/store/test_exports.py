"""Runs in the forms that other tools read, read by those tools where they are at hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from trilemma.errors import UserError
from trilemma.store.exports import TIDY, action_benchmark, as_csv, pytest_benchmark, tidy
from trilemma.store.run import Run

GOLDEN = Path(__file__).parent / "golden"


def test_numbers_come_with_what_one_needs_to_know_of_their_run(runs: Path, golden_runs: Path) -> None:
    rows = tidy([runs / "20270102-000000-b", golden_runs / "run-2", golden_runs / "run-1"])
    records = [dict(zip(TIDY, row, strict=True)) for row in rows]
    assert [record["run_id"] for record in records[:2]] == ["20270102-000000-b"] * 2
    kid = next(record for record in records if record["metric"] == "kid")
    assert (kid["value"], kid["protocol"], kid["partial"], kid["git"]) == (2.0, "scenes", True, "abc")
    wanted = [len(Run(golden_runs / name).rows) for name in ("run-1", "run-2")]
    assert [sum(record["run_id"] == name for record in records) for name in ("run-1", "run-2")] == wanted


def test_a_damaged_neighbour_is_no_hindrance(runs: Path) -> None:
    (runs / "20270101-000000-a" / "run.json").write_text("{")
    assert len(tidy([runs / "20270102-000000-b"])) == 2
    with pytest.raises(UserError, match="damaged"):
        tidy([runs / "20270101-000000-a", runs / "20270102-000000-b"])


def test_csv_has_nothing_where_there_is_no_value() -> None:
    assert as_csv(["a", "b"], [(None, [1, "x"]), (1.5, "y,z")]) == 'a,b\n,"[1, ""x""]"\n1.5,"y,z"\n'


def test_statistics_are_those_of_pytest_benchmark() -> None:
    stats = pytest.importorskip("pytest_benchmark.stats").Stats()
    for entry in pytest_benchmark(Run(GOLDEN / "run-2"))["benchmarks"]:
        stats.__init__()
        for name in list(vars(stats)):
            if name != "data":
                delattr(stats, name)
        for seconds in entry["stats"]["data"]:
            stats.update(seconds)
        for name in ("min", "max", "mean", "stddev", "median", "rounds", "ops", "total", "stddev_outliers"):
            assert entry["stats"][name] == pytest.approx(getattr(stats, name))
        assert entry["stats"].keys() == {*stats.fields, "data", "iterations"}


@pytest.mark.parametrize("name", ["run-1", "run-2"])
def test_pytest_benchmark_compares_it(name: str, tmp_path: Path) -> None:
    pytest.importorskip("pytest_benchmark")
    for copy in ("a.json", "b.json"):
        (tmp_path / copy).write_text(json.dumps(pytest_benchmark(Run(GOLDEN / name))))
    command = [sys.executable, "-m", "pytest_benchmark", "compare", "a.json", "b.json"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    model = {"run-1": "tiny", "run-2": "linear"}[name]
    for shown in (
        f"offline[{model}-4] (a)",
        f"offline[{model}-4] (b)",
        f"single_stream[{model}-1]",
        f"load[{model}-0]",
    ):
        assert shown in answer.stdout
    assert "warmup" not in answer.stdout and "Failed to load" not in answer.stdout + answer.stderr


def test_the_direction_of_every_number_decides_its_file() -> None:
    entries, missing = action_benchmark(Run(GOLDEN / "run-2"))
    names = {which: {entry["name"] for entry in some} for which, some in entries.items()}
    assert {"linear/images_per_second", "linear/clip_score", "linear/score_speed"} <= names["bigger"]
    assert {"linear/fd_scenes", "linear/latency_batch1", "linear/flops_per_image"} <= names["smaller"]
    assert "linear/parameters" not in names["bigger"] | names["smaller"]  # neither good nor bad
    assert {row.metric for row in missing} >= {"fid"} and all(row.reason for row in missing)
    distance = next(entry for entry in entries["smaller"] if entry["name"] == "linear/fd_scenes")
    assert distance["value"] == Run(GOLDEN / "run-2").row("linear", "fd_scenes").value  # type: ignore[union-attr]
    assert distance["range"] == "± 55.3" and distance.keys() == {"name", "unit", "value", "range", "extra"}
    counted = next(entry for entry in entries["smaller"] if entry["name"] == "linear/flops_per_image")
    assert "range" not in counted and counted["unit"] == "FLOPs"
