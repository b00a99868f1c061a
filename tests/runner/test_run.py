"""Whole runs of made-up models: what is recorded, what a failure leaves, what is done only once."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from trilemma.errors import UserError
from trilemma.metrics.catalog import BY_SPEED_ALONE, METRICS
from trilemma.protocol import Allowance, Gate
from trilemma.runner.run import ReferenceFailed, Request
from trilemma.store.digests import verify
from trilemma.store.run import Run


def test_the_record_says_how_it_ended(finished: Run) -> None:
    record = finished.record
    assert record.status == "failed" and record.ended is not None and not record.partial
    assert record.errors.keys() == {"crashing", "dying"}
    assert record.errors["crashing"]["message"] == "the network fell over"
    assert "RuntimeError" in record.errors["crashing"]["traceback"]
    assert "SIGABRT" in record.errors["dying"]["message"]
    assert record.counts["tiny"] == {"planned": 224, "done": 224, "failed": 0}
    assert record.counts["crashing"] == {"planned": 224, "done": 32, "failed": 192}
    assert record.counts["dying"]["done"] in (16, 32)  # it may die while its last whole batch goes to disk
    assert record.counts["dying"]["failed"] == 224 - record.counts["dying"]["done"]
    assert record.keys["tiny"]["case"]["fields"]["knobs"] == {"contrast": 1.0}
    assert record.keys["tiny"]["hardware"]["fields"]["device"] == "cpu"
    assert record.cards["crashing"]["options"] == {"crash_after": 40}
    assert record.models["tiny"]["info"]["parameters"] == 7
    assert record.executor["kind"] == "local" and record.host["gpus"] == []
    assert record.models["tiny"]["flops"]["per_image"] is None
    assert record.files == {}  # it can still be continued
    assert not finished.folder.lock.exists()


def test_the_record_says_how_long_the_images_took(finished: Run) -> None:
    drawing = finished.record.models["tiny"]["drawing"]
    assert (drawing["status"], drawing["reason"], drawing["attempts"]) == ("ok", None, 1)
    samples = finished.samples("tiny").drop_duplicates(["set", "batch"])
    assert drawing["generate_seconds"] == pytest.approx((samples["t_end"] - samples["t_start"]).sum())
    assert drawing["measure_seconds"] == pytest.approx((samples["t_measured"] - samples["t_end"]).sum())
    assert 0 < drawing["generate_seconds"] and 0 < drawing["measure_seconds"]
    assert drawing["generate_seconds"] + drawing["measure_seconds"] < drawing["wall_seconds"]
    assert drawing["wall_seconds"] > samples["t_measured"].max() - samples["t_start"].min()
    assert "drawing" not in finished.record.models["crashing"]
    assert finished.record.seconds["metrics"] > 0


def test_a_failed_model_has_null_rows_with_the_reason(finished: Run) -> None:
    rows = [row for row in finished.rows if row.model == "crashing"]
    assert len(rows) == len([row for row in finished.rows if row.model == "tiny"])
    assert {(row.value, row.status) for row in rows} == {(None, "failed")}
    assert all("the network fell over" in (row.reason or "") for row in rows)


def test_a_good_model_has_every_metric_of_the_protocol(finished: Run) -> None:
    rows = {row.metric: row for row in finished.rows if row.model == "tiny"}
    always = {name for name, metric in METRICS.items() if metric.axis in ("score", "speed", "about")}
    assert rows.keys() == {*finished.record.spec["protocol"]["metrics"], *always} - {*BY_SPEED_ALONE}
    missing = {name for name, row in rows.items() if row.value is None}
    assert missing == {"fid", "flops_per_image"}
    assert rows["fid"].status == "skipped" and "Inception" in (rows["fid"].reason or "")
    assert rows["evaluations_per_image"].value == 2.0 and rows["parameters"].value == 7.0
    assert rows["fd_scenes"].n == 64 and rows["fd_scenes"].n_reference == 160
    assert rows["fd_scenes"].extractor == "features:" + "f" * 16
    assert 0 <= (rows["score_quality"].value or 0) <= 10


def test_pandas_alone_reads_the_record(finished: Run) -> None:
    path = finished.folder.path
    samples = pd.read_parquet(path / "samples" / "tiny.parquet")
    features = np.load(path / "features" / "tiny.npz")
    assert len(samples) == len(features["features"]) == len(features["thumbnails"]) == 224
    assert samples["set"].value_counts().to_dict() == {"prompted": 64, "unconditional": 64, "within_prompt": 96}
    assert samples.loc[samples["prompt"] == "", "clip_score"].isna().all()
    assert samples.loc[samples["prompt"] != "", "clip_score"].notna().all()
    assert samples["key"].is_unique and (samples["status"] == "ok").all()
    assert samples["image_sha256"].nunique() == 224
    assert set(samples["attempt"]) == {1} and samples["node"].nunique() == 1 and set(samples["height"]) == {32}
    timings = pd.read_parquet(path / "timings" / "tiny.parquet")
    assert set(timings["scenario"]) == {"load", "first_call", "warmup", "single_stream", "offline"}
    assert set(timings["session"]) == {f"{path.name}/1"} and set(timings["replicate"]) == {0}
    reference = pd.read_parquet(path / "timings" / "reference.parquet")
    assert set(reference["scenario"]) == {"warmup", "reference_decoder"}
    events = pd.read_json(path / "events.jsonl", lines=True)
    assert events["event"].tolist() == ["started", "model done", "model failed", "model failed", "failed"]
    assert not (path / "parts" / "tiny").exists() and (path / "parts" / "crashing").exists()
    assert not list(path.rglob(".*")) and not list((path / "jobs").iterdir())


def test_grids_come_with_their_captions(finished: Run) -> None:
    folder = finished.folder.images("tiny")
    shapes = {}
    for name in ("prompted", "unconditional", "within_prompt"):
        about = json.loads((folder / f"{name}.json").read_text())
        with Image.open(folder / f"{name}.png") as image:
            assert image.size == (8 * 32, len(about["keys"]) // 8 * 32)
        shapes[name] = (about["columns"], len(about["keys"]), len(set(about["prompts"])))
    assert shapes["unconditional"] == (8, 64, 1)
    assert shapes["within_prompt"] == (8, 64, 8)
    samples = finished.samples("tiny")
    about = json.loads((folder / "within_prompt.json").read_text())
    assert about["prompts"] == samples.set_index("key").loc[about["keys"], "prompt"].tolist()


def test_the_models_prints_are_in_its_log(finished: Run) -> None:
    assert "models print what they like" in finished.folder.log("tiny").read_text()


def test_another_run_gives_the_same_images_and_reads_the_cache(finished: Run, second: Run, cache: Path) -> None:
    # "loud" is no part of the first run; "tiny" has another contrast, but seeds and keys are the same.
    a, b = finished.samples("tiny"), second.samples("tiny")
    assert a["key"].tolist() == b["key"].tolist() and a["seed"].tolist() == b["seed"].tolist()
    assert second.record.status == "complete"
    sets = ["floor", "heldout", "reduced", "reference", "training", "within"]
    assert sorted(path.name.split("-")[0] for path in (cache / "reference").iterdir()) == sets
    assert finished.record.reference == second.record.reference


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"device": "gpu"}, 'no device "gpu"'),
        ({"seed": -1}, "--seed"),
        ({"cards": ()}, "no model is named"),
        ({"samples": 0}, "--samples"),
        ({"gate": Gate(metrics=("fid", "fiid"))}, 'small: gate.metrics: There is no metric "fiid". Did you mean "fid"'),
        ({"gate": Gate(margins={"kidd": Allowance()})}, 'small: gate.margins: There is no metric "kidd"'),
        ({"metrics": ("kidd",)}, "small: metrics: There is no metric"),
    ],
)
def test_a_request_that_makes_no_sense_starts_nothing(
    driver: ModuleType, root: Path, cache: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    request: Request = driver.request(root, tmp_path, cache, "tiny")
    inside = {name: value for name, value in changes.items() if name in ("gate", "metrics")}
    outside = {name: value for name, value in changes.items() if name not in inside}
    request = replace(request, protocol=replace(request.protocol, **inside), **outside)
    from rich.console import Console

    from trilemma.runner.display import Display
    from trilemma.runner.run import run_benchmark

    with pytest.raises(UserError, match=message):
        run_benchmark(request, Display(Console(stderr=True), quiet=True))
    assert list(tmp_path.iterdir()) == []


def test_without_real_images_the_run_ends_at_once(
    driver: ModuleType, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "FAKES", replace(driver.FAKES, load="fake_instruments:nothing_there"))
    with pytest.raises(UserError, match="nothing_there"):
        driver.drive(root, tmp_path / "runs", tmp_path / "cache", "tiny")
    (path,) = (tmp_path / "runs").iterdir()
    record = Run(path).record
    assert record.status == "failed" and record.models["tiny"]["status"] == "waiting"
    assert record.error is not None and "nothing_there" in record.error["message"] and record.errors == {}
    assert issubclass(ReferenceFailed, RuntimeError)


def test_a_bug_of_ours_ends_the_run_with_what_it_was(
    driver: ModuleType, root: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("ours")

    monkeypatch.setattr("trilemma.runner.assemble.assemble", fail)
    with pytest.raises(AssertionError, match="ours"):
        driver.drive(root, tmp_path, cache, "tiny", samples=20)
    (path,) = tmp_path.iterdir()
    record = Run(path).record
    assert record.status == "failed" and record.error is not None and record.error["type"] == "AssertionError"
    assert record.models["tiny"]["status"] == "done" and record.files == {}
    monkeypatch.undo()
    again: Run = driver.drive(root, tmp_path, cache, "tiny", samples=20)
    assert again.record.status == "complete" and again.record.error is None and again.record.run_id == path.name
    verify(again)


def test_a_run_that_confirms_another_is_a_run_of_its_own(
    driver: ModuleType, root: Path, cache: Path, tmp_path: Path
) -> None:
    first = driver.drive(root, tmp_path, cache, "tiny", samples=20)
    second = driver.drive(root, tmp_path, cache, "tiny", samples=20, parent_run_id=first.record.run_id)
    assert second.record.parent_run_id == first.record.run_id and second.record.identity != first.record.identity


def test_the_parent_imports_no_torch() -> None:
    import subprocess

    code = "import sys, trilemma.runner.run, trilemma.runner.assemble, trilemma.tracking.judge; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "torchvision", "diffusers", "transformers", "timm", "matplotlib"} & set(loaded)
