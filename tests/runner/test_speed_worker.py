"""One process of the verb ``speed``: what is left where a call fails, and what one that follows another times."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from trilemma.card import Card
from trilemma.runner.channel import Channel
from trilemma.runner.speed_job import SpeedJob, SpeedSettings
from trilemma.runner.speed_worker import measure_speed
from trilemma.store.tables import TIMINGS, read_frame
from trilemma.timing import window as windows

SETTINGS = SpeedSettings(batch_sizes=(1, 2, 4), auto=False, calls=3, seconds=0.001)


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SpeedJob:
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        monkeypatch.setenv(name, "where they were")  # and are again after the test
    return SpeedJob(
        kind="speed",
        card=Card(name="staged", factory="staged:load", path=tmp_path, options={"fits": 4}),
        settings=SETTINGS,
        prompts=("a", "b", "c"),
        seeds=(1, 2, 3),
        device="cpu",
        timings=tmp_path / "timings.parquet",
        session="s/1",
        batch_sizes=(1, 2, 4),
    )


def done(job: SpeedJob, **options: int) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Does a job with options of the model; returns its rows and what it says at its end."""
    told = io.StringIO()
    measure_speed(replace(job, card=replace(job.card, options=dict(job.card.options) | options)), Channel(told))
    last = json.loads(told.getvalue().splitlines()[-1])
    assert last["kind"] == "measured"
    return read_frame(job.timings, TIMINGS), last["facts"]


def test_after_a_size_that_failed_nothing_more_is_called_and_the_rest_stays(job: SpeedJob) -> None:
    rows, facts = done(job, breaks=4)
    timed = rows[(rows["scenario"] == "offline") & (rows["stage"] == "e2e") & (rows["status"] == "ok")]
    assert set(timed["batch_size"]) == {1, 2}
    (failed,) = rows[rows["status"] == "failed"].to_dict("records")
    assert failed["batch_size"] == 4 and "illegal memory access" in failed["reason"]
    assert facts["energy"] == {"joules_per_image": None, "reason": "a batch size failed before"}
    assert facts["attention_kernels"] is None


def test_no_scenario_follows_a_size_that_failed(job: SpeedJob) -> None:
    reverse = replace(job, settings=replace(SETTINGS, scenarios=("offline", "single_stream")))
    rows, facts = done(reverse, breaks=4)
    assert [window["scenario"] for window in facts["windows"]] == ["offline"] * 3
    assert "single_stream" not in set(rows["scenario"])


def test_what_was_timed_before_an_error_is_kept(job: SpeedJob) -> None:
    with pytest.raises(RuntimeError, match="illegal memory access"):
        done(replace(job, batch_sizes=(2, 4)), breaks=2)
    rows = read_frame(job.timings, TIMINGS)
    assert {"load", "first_call", "single_stream"} <= set(rows["scenario"]) and "offline" not in set(rows["scenario"])


def test_a_first_call_that_does_not_fit_is_cleared_away(job: SpeedJob, monkeypatch: pytest.MonkeyPatch) -> None:
    released: list[torch.device] = []
    monkeypatch.setattr(windows, "release", released.append)
    rows, facts = done(job, fits=0)
    assert len(released) == 1 + 2  # the first call, and batch 1 of both scenarios
    first = rows[rows["scenario"] == "first_call"]
    assert first["status"].tolist() == ["out_of_memory"] and "evaluations_per_image" not in facts


def test_one_that_follows_times_all_sizes_whatever_the_budget(job: SpeedJob) -> None:
    tight = replace(job, settings=replace(SETTINGS, budget_seconds=1e-6))
    for follows, sizes in ((False, {1}), (True, {1, 2, 4})):
        rows, _ = done(replace(tight, follows=follows))
        timed = rows[(rows["scenario"] == "offline") & (rows["status"] == "ok")]
        assert set(timed["batch_size"]) == sizes


def test_without_a_gpu_the_reason_says_so(job: SpeedJob) -> None:
    _, facts = done(job)
    assert facts["energy"]["reason"] == "no energy counter: the device is no NVIDIA GPU"
    assert {window["power_capped"] for window in facts["windows"]} == {None}
