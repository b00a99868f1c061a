"""A worker that only times a model: what it is told, what it tells, what it leaves."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from trilemma.errors import UserError
from trilemma.generator import GeneratorInfo
from trilemma.protocols import find_protocol
from trilemma.registry import find_card
from trilemma.runner.channel import Channel
from trilemma.runner.job import read_job
from trilemma.runner.keys import keys_of, timing_keys
from trilemma.runner.timing import any_prompts, batch_of, measure_timing
from trilemma.runner.timing_job import TimingJob
from trilemma.store.tables import TIMINGS, read_frame
from trilemma.workspace import find_workspace


@pytest.fixture
def job(root: Path, tmp_path: Path) -> TimingJob:
    return TimingJob(
        card=str(root / "models" / "tiny"),
        scenario="offline",
        batch_size=4,
        prompts=("a", "b", "c"),
        seeds=(1, 2, 3),
        resolution=32,
        warmup_calls=2,
        min_calls=3,
        min_seconds=0.0,
        device="cpu",
        timings=str(tmp_path / "timings.parquet"),
    )


def test_a_job_is_read_as_it_was_written(job: TimingJob, tmp_path: Path) -> None:
    assert read_job(job.write(tmp_path / "job.json")) == job


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"job": 2}, "timing jobs of version 2 are not known here, only 1"),
        ({"calls": 3}, 'unknown key "calls"'),
        ({"scenario": "server"}, "'server' is not possible here"),
        ({"batch_size": "4"}, "batch_size: must be an integer"),
    ],
)
def test_a_job_of_another_version_is_refused(
    job: TimingJob, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = job.write(tmp_path / "job.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=message):
        read_job(path)


def test_a_worker_tells_what_it_is_and_leaves_one_row_per_call(job: TimingJob, tmp_path: Path) -> None:
    told = io.StringIO()
    measure_timing(job, Channel(told))
    accepted, ready = map(json.loads, told.getvalue().splitlines())
    assert (accepted["kind"], accepted["job"], Path(accepted["package"]).name) == ("accepted", 1, "trilemma")
    assert ready["subject"]["knobs"] == {"contrast": 1.0} and ready["subject"]["parameters"] == 7
    assert ready["execution"]["fields"].items() >= {"batch_size": 4, "batch_sizes": [4]}.items()
    assert ready["hardware"]["fields"]["device"] == "cpu"
    rows = read_frame(Path(job.timings), TIMINGS)
    assert rows["scenario"].tolist() == ["warmup"] * 2 + ["offline"] * 3
    assert set(rows["model"]) == {"tiny"} and set(rows["n_images"]) == {4} and (rows["wall_ns"] > 0).all()
    assert [path.name for path in tmp_path.iterdir()] == ["timings.parquet"]


def test_the_class_of_machine_is_that_of_runs(job: TimingJob, root: Path) -> None:
    workspace = find_workspace(root)
    said = {"device": "cpu", "torch": "2.9.1", "threads": 3, "dtype": "float32"}
    info = {"knobs": {}, "resolution": 32}
    of_run = keys_of(find_card("tiny", workspace), find_protocol("small", workspace), info, said)
    of_timing = timing_keys(find_card("tiny", workspace), 4, said)
    assert of_timing["hardware"] == of_run["hardware"]
    fields = of_run["execution"]["fields"] | {"batch_size": 4, "batch_sizes": [4]}
    assert of_timing["execution"]["fields"] == fields


def test_a_model_that_is_not_there_is_a_failure_of_an_accepted_job(job: TimingJob, tmp_path: Path) -> None:
    told = io.StringIO()
    with pytest.raises(UserError, match="there is no model here"):
        measure_timing(replace(job, card=str(tmp_path / "nothing")), Channel(told))
    assert json.loads(told.getvalue())["kind"] == "accepted"


def test_no_two_calls_have_the_same_prompts_and_seeds_also_once_they_are_used_up() -> None:
    class Recorder:
        info = GeneratorInfo(name="a", family="a", resolution=32, parameters=0)
        calls: list[tuple[list[str], list[int]]] = []

        def generate(self, prompts: list[str], seeds: list[int], **knobs: float) -> Any:
            self.calls.append((prompts, seeds))
            raise InterruptedError

    recorder: Any = Recorder()
    batch = batch_of(recorder, {}, "abcde", [100, 7, 53, 22, 81], 32)
    for number in range(20):
        with pytest.raises(InterruptedError):
            batch(2, number)
    assert recorder.calls[:3] == [(["a", "b"], [100, 7]), (["c", "d"], [53, 22]), (["e", "a"], [81, 101])]
    pairs = [pair for prompts, seeds in recorder.calls for pair in zip(prompts, seeds, strict=True)]
    assert len(set(pairs)) == len(pairs) == 40


def generator(**said: Any) -> Any:
    return SimpleNamespace(info=GeneratorInfo(name="a", family="a", resolution=32, parameters=0, **said))


def test_a_model_of_classes_is_timed_with_a_class() -> None:
    asked = ["a red star", ""]
    assert any_prompts(generator(), asked) == asked
    assert any_prompts(generator(capabilities=frozenset({"class-conditional"})), asked) == ["class 0", "class 0"]


def test_what_exists_already_is_not_timed() -> None:
    with pytest.raises(UserError, match='"a" cannot be timed: its images exist already'):
        batch_of(generator(unknown={"speed": "its images exist already"}), {}, ["a"], [1], 32)
