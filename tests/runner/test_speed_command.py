"""The verb ``speed`` as one types it, over a model that needs no time, and the verbs that read what it leaves."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from trilemma.cli import main
from trilemma.cli.speed import batch_sizes, entries
from trilemma.cli.speed_table import notes, speed_table
from trilemma.errors import UserError
from trilemma.stages import STAGES
from trilemma.store.run import Run
from trilemma.workspace import find_workspace

CARD = 'name = "staged"\nfactory = "staged:load"\ntitle = "staged"\n[options]\nfits = 4\n'
Printed = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def workspace(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    copied = Path(shutil.copytree(root, tmp_path_factory.mktemp("speed") / "workspace"))
    (copied / "models" / "staged").mkdir()
    (copied / "models" / "staged" / "card.toml").write_text(CARD)
    return copied


@pytest.fixture(scope="module")
def run(workspace: Path) -> Run:
    """Two entries of one model, each in two fresh processes."""
    options = ["--processes", "2", "--calls", "22", "--seconds", "0.02", "--device", "cpu", "--root", str(workspace)]
    assert main(["speed", "staged", "--precision", "fp32,bf16", *options, "--quiet"]) == 0
    (folder,) = (workspace / "results" / "runs").glob("2*")
    return Run(folder)


def test_every_entry_is_a_model_of_one_run(run: Run) -> None:
    assert run.models == ["staged", "staged@bf16"] and run.record.status == "complete"
    dtypes = [run.record.keys[model]["case"]["fields"]["dtype"] for model in run.models]
    assert dtypes == ["float32", "bfloat16"]
    for model in run.models:
        latency, p90 = run.row(model, "latency_batch1"), run.row(model, "latency_p90")
        assert latency is not None and latency.value is not None
        assert (latency.se_method, latency.replicates) == ("processes", 2) and (latency.n or 0) >= 44
        assert p90 is not None and p90.value is not None and p90.value >= latency.value
        assert len(run.record.models[model]["processes"]) == 2


def test_a_batch_that_does_not_fit_is_a_row_and_the_sweep_goes_no_further(run: Run) -> None:
    for model in run.models:
        timings = run.timings(model)
        first = timings[(timings["replicate"] == 0) & (timings["scenario"] == "offline")]
        (row,) = first[first["status"] == "out_of_memory"].to_dict("records")
        assert (row["batch_size"], row["n_images"]) == (8, 0) and "8 images are too many" in row["reason"]
        assert sorted(set(first["batch_size"])) == [1, 2, 4, 8]
        rate = run.row(model, "images_per_second")
        assert rate is not None and rate.params["batch_size"] == 4
        later = timings[timings["replicate"] == 1]
        assert set(later[later["scenario"] == "offline"]["batch_size"]) == {1, 2, 4}


def test_stages_never_add_up_to_more_than_their_call(run: Run) -> None:
    for model in run.models:
        timed = run.timings(model)
        timed = timed[timed["scenario"].isin(["single_stream", "offline"]) & (timed["status"] == "ok")]
        keys = ["replicate", "scenario", "batch_size", "call"]
        whole = timed[timed["stage"] == "e2e"].set_index(keys)["wall_ns"]
        parts = timed[timed["stage"].isin(STAGES)].groupby(keys)["wall_ns"].sum()
        assert len(whole) > 50 and parts.index.equals(whole.sort_index().index)
        assert (parts <= whole.reindex(parts.index)).all()
        seconds = [run.row(model, f"seconds_{name}") for name in STAGES]
        rate = run.row(model, "images_per_second")
        assert rate is not None and rate.value is not None
        assert 0 < sum(row.value or 0 for row in seconds if row is not None) <= (1 + 1e-9) / rate.value


def test_what_sets_throughput_is_recorded(run: Run) -> None:
    about = run.record.models["staged"]
    assert about["environment"].keys() >= {"attention", "flags", "threads", "dtype", "power_limit_w"}
    assert about["flops"]["per_image"] == 2 * 4 * 4 * 4
    for process in about["processes"]:
        assert process["load_of_others"] >= 0 and process["attention_kernels"] == [] and process["graphs"] == 0
        for window in process["windows"]:
            assert window["status"] != "ok" or window["warmup_calls"] >= 2
    warmups = run.timings("staged")["warmup"]
    assert warmups.sum() >= 2 * 4 * 2
    evaluations = run.row("staged", "evaluations_per_image")
    assert evaluations is not None and evaluations.value == 3


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["runs"], "speed"),
        (["show", "latest"], "images/s"),
        (["show", "latest", "--all"], "joules_per_image"),
        (["report", "latest"], "report.html"),
        (["history", "staged@bf16/images_per_second"], "images/s"),
        (["query", "SELECT model, count(*) n FROM timings WHERE status = 'out_of_memory' GROUP BY 1"], "staged@bf16"),
        (["query", "SELECT value FROM metrics WHERE metric = 'latency_p90' AND replicates = 2"], "value"),
    ],
)
def test_other_verbs_read_it(run: Run, workspace: Path, arguments: list[str], shown: str, capsys: Printed) -> None:
    assert main([*arguments, "--root", str(workspace)]) == 0
    printed = capsys.readouterr()
    assert shown in printed.out + printed.err


def test_it_can_be_compared_and_gated(run: Run, workspace: Path, capsys: Printed) -> None:
    later = run.folder.path.with_name("99990101-000000-aaaaaaaa")
    shutil.copytree(run.folder.path, later)
    record = json.loads((later / "run.json").read_text())
    (later / "run.json").write_text(json.dumps(record | {"run_id": later.name}))
    options = ["--root", str(workspace)]
    assert main(["compare", run.record.run_id, later.name, "--json", *options]) == 0
    series = {(one["model"], one["metric"]): one for one in json.loads(capsys.readouterr().out)}
    assert series["staged", "flops_per_image"]["verdict"] == "EXACT_SAME"
    assert series["staged@bf16", "images_per_second"]["verdict"] == "INCONCLUSIVE"  # one session decides no time
    assert main(["baseline", "accept", "main", run.record.run_id, "--reason", "a test", *options]) == 0
    assert main(["gate", later.name, "--baseline", "main", *options]) == 0
    shutil.rmtree(later)


def test_the_report_tells_what_was_left_out_and_how_it_was_timed(run: Run) -> None:
    page = (run.folder.path / "report.md").read_text()
    assert "in 2 fresh processes each, in turn" in page and "8 images are too many" in page
    assert "No network" not in page and "prompts images each" not in page


def test_below_the_table_stands_what_is_missing_and_why(run: Run) -> None:
    lines = notes(run)
    assert "no compile: the model is not compiled" in lines
    assert any(line.startswith("no MFU: only a GPU") for line in lines)
    assert [column.header for column in speed_table(run).columns][:2] == ["model", "latency"]


def test_an_export_holds_whole_calls_alone(run: Run, workspace: Path, tmp_path: Path) -> None:
    out = tmp_path / "calls.json"
    assert main(["export", "latest", "--to", "pytest-benchmark", "--out", str(out), "--root", str(workspace)]) == 0
    rounds = {one["name"]: one["stats"]["rounds"] for one in json.loads(out.read_text())["benchmarks"]}
    timings = run.timings("staged")
    offline = timings[(timings["scenario"] == "offline") & (timings["batch_size"] == 4)]
    assert rounds["offline[staged-4]"] == (offline["stage"] == "e2e").sum() < len(offline)


def test_what_is_missing_has_a_reason_in_json(run: Run, workspace: Path, capsys: Printed) -> None:
    assert main(["show", "latest", "--json", "--root", str(workspace)]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert {row["metric"] for row in told["metrics"]} >= {"latency_p99", "mfu", "peak_memory_reserved", "seconds_text"}
    missing = [row for row in told["metrics"] if row["value"] is None]
    assert missing and all(row["reason"] for row in missing)
    frame = pd.DataFrame([row for row in told["metrics"] if row["model"] == "staged"])
    assert frame["metric"].is_unique


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["stagd"], 'there is no model "stagd". Did you mean "staged"?'),
        (["staged", "--precision", "bf61"], 'there is no precision "bf61". Did you mean "bf16"?'),
        (["staged", "--scenario", "ofline"], 'there is no scenario "ofline". Did you mean "offline"?'),
        (["staged", "--batch-size", "1,many"], '"many" is no batch size.'),
        (["staged", "--processes", "0"], "--processes: must be 1 or more"),
        (["staged", "--device", "tpu"], 'there is no device "tpu"'),
        (["staged", "staged"], 'two models are called "staged"'),
        (["staged@fp32", "--precision", "bf16"], "fp32 and bf16 exclude one another"),
        (["staged@bf17"], '"bf17" is no setting'),
    ],
)
def test_mistakes_are_told_before_anything_starts(
    workspace: Path, tmp_path: Path, arguments: list[str], message: str, capsys: Printed
) -> None:
    assert main(["speed", *arguments, "--root", str(workspace), "--out", str(tmp_path / "runs")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_help_has_an_example(capsys: Printed) -> None:
    assert main(["speed", "--help"]) == 0
    assert "trilemma speed gan var" in capsys.readouterr().out


def test_entries_are_models_by_precision_by_compilation(workspace: Path) -> None:
    found = entries(["staged", "tiny@contrast=2"], "fp32,bf16", True, find_workspace(workspace))
    assert [card.name for card in found] == [
        "staged", "staged@compile", "staged@bf16", "staged@bf16+compile",
        "tiny@contrast=2", "tiny@contrast=2+compile", "tiny@contrast=2+bf16", "tiny@contrast=2+bf16+compile",
    ]  # fmt: skip
    (alone,) = entries(["staged@compile"], None, True, find_workspace(workspace))
    assert alone.name == "staged@compile"


def test_batch_sizes_are_read_in_any_order() -> None:
    assert batch_sizes("16, 1,4,4") == (1, 4, 16)
    with pytest.raises(UserError, match="no batch size"):
        batch_sizes("-1")
