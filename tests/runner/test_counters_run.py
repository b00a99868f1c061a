"""A protocol without networks and clocks: what is left to record, and that everything reads such a run."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from trilemma.cli import main
from trilemma.protocol import Gate
from trilemma.store.digests import verify
from trilemma.store.run import Run
from trilemma.tracking.judge import Rules, judge

PROTOCOL = """
name = "small"
version = 1
title = "Counters"
resolution = 32
batch_size = 8
metrics = []
[[sets]]
name = "prompted"
prompts = "captions"
split = "prompts"
images = 12
[[sets]]
name = "unconditional"
prompts = "none"
images = 12
[gate]
metrics = ["parameters"]
exact_images = true
"""
COUNTERS = {"parameters": 7.0, "evaluations_per_image": 2.0, "flops_per_image": 32.0}


@pytest.fixture(scope="module")
def counted(
    _fakes_can_be_imported: None, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[ModuleType, Path, Run]:
    import drive

    workspace = Path(shutil.copytree(root, tmp_path_factory.mktemp("counters") / "workspace"))
    (workspace / "benchmarks" / "small.toml").write_text(PROTOCOL)
    # Were instruments to be loaded, or asked for their identity, the run would fail.
    nothing = replace(drive.FAKES, load="fake_instruments:nothing", identity="fake_instruments:nothing")
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drive, "FAKES", nothing)
        run = drive.drive(workspace, workspace / "results" / "runs", cache, "linear,tiny")
    assert not list(cache.iterdir())
    return drive, workspace, run


def test_only_images_and_counters_are_recorded(counted: tuple[ModuleType, Path, Run]) -> None:
    run = counted[2]
    assert run.record.status == "complete" and run.record.instruments == {} and run.record.reference == {}
    assert {row.metric: row.value for row in run.rows if row.model == "linear"} == COUNTERS
    numbers = {name for name in run.record.files if not name.startswith("images/")}
    assert numbers == {"metrics.jsonl", "samples/linear.parquet", "samples/tiny.parquet"}
    samples = run.samples("linear")
    assert len(samples) == 24 and samples["image_sha256"].nunique() == 24
    assert samples[["read_shape", "residual", "clip_score"]].isna().all(axis=None)
    assert not run.folder.features("linear").exists() and not run.folder.parts("linear").exists()
    assert run.record.keys["linear"]["execution"]["fields"]["batch_sizes"] == []
    verify(run)


def test_what_is_not_counted_is_null_with_the_reason(counted: tuple[ModuleType, Path, Run]) -> None:
    row = counted[2].row("tiny", "flops_per_image")
    assert row is not None and row.value is None and row.status == "skipped" and "torch ran no" in (row.reason or "")


def test_every_verb_reads_it(counted: tuple[ModuleType, Path, Run], capsys: pytest.CaptureFixture[str]) -> None:
    root = ["--root", str(counted[1])]
    assert main(["show", "latest", *root]) == 0 and "flops_per_image" in capsys.readouterr().err
    assert main(["report", "latest", *root]) == 0
    assert main(["compare", "latest", "latest", *root, "--json"]) == 0
    assert main(["list", *root]) == 0
    capsys.readouterr()
    folder = counted[2].folder.path
    report = (folder / "report.md").read_text()
    assert "## Scores" not in report and "Operations per image" in report
    assert 'id="scores"' not in (folder / "report.html").read_text() and not (folder / "figures").exists()
    verify(Run(folder))


def test_a_counter_is_compared_across_machines(counted: tuple[ModuleType, Path, Run]) -> None:
    run, other = counted[2], Run(counted[2].folder.path)
    for keys in other.record.keys.values():
        keys["hardware"]["fields"]["name"] = "another"
    found = {one.metric: one for one in judge([run], [other], Rules(gate=Gate())) if one.model == "linear"}
    assert {metric: one.difference for metric, one in found.items()} == dict.fromkeys(COUNTERS, 0.0)
