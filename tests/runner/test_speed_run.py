"""The order of processes, what is kept, and where a command goes on, with workers that take no time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from trilemma.card import Card
from trilemma.errors import UserError
from trilemma.runner import environment, speed_run
from trilemma.runner.display import Display
from trilemma.runner.job import read_job
from trilemma.runner.launch import Ended
from trilemma.runner.speed_job import SpeedJob, SpeedSettings
from trilemma.runner.speed_run import SpeedRequest, run_speed
from trilemma.store.run import Run
from trilemma.store.tables import TIMINGS, write_rows
from trilemma.timing.batch_sweep import AUTO_SIZES
from trilemma.timing.clock import Call
from trilemma.variant import at

FLOPS = {"per_image": 1e9, "reason": None, "batch_size": 1, "operations": {"aten.mm": 10**9}, "uncounted": []}
SETTINGS = SpeedSettings(processes=3, calls=15)


class Workers:
    """Stands in for processes: 10 ms a call, 1 % more in each, batches up to 4 fit."""

    def __init__(self) -> None:
        self.jobs: list[SpeedJob] = []
        self.before: Callable[[SpeedJob], None] = lambda job: None
        self.environment: dict[str, Any] = {"device": "cpu", "torch": "2.14.1", "threads": 1, "flags": {}}

    def __call__(self, path: Path, log: Path, on_message: Callable[[dict[str, Any]], None]) -> Ended:
        job = read_job(path)
        assert isinstance(job, SpeedJob)
        self.jobs.append(job)
        self.before(job)
        if job.card.model == "broken":
            if job.kind == "speed":
                self.write(job)
            return Ended(error={"type": "RuntimeError", "message": "the network fell over", "traceback": ""})
        if job.kind == "flops":
            on_message({"kind": "counted", "flops": FLOPS})
            return Ended(error=None)
        on_message({"kind": "ready", "info": INFO, "environment": self.environment})
        self.write(job)
        on_message({"kind": "measured", "facts": _facts(job)})
        return Ended(error=None)

    def write(self, job: SpeedJob) -> None:
        about = {"model": job.card.name, "session": job.session, "replicate": job.replicate}
        write_rows(job.timings, TIMINGS, [about | asdict(row) for row in _rows(job)])

    @property
    def told(self) -> list[tuple[str, str, int]]:
        return [(job.kind, job.card.name, job.replicate) for job in self.jobs]


INFO = {"name": "x", "knobs": {}, "resolution": 32, "parameters": 7}
SWITCHES = {"cuda_matmul_float32": "none", "cudnn_convolution_float32": "tf32"}
GPU = {"device": "cuda", "name": "NVIDIA H200", "count": 1, "memory_gib": 140, "gpu_uuid": "GPU-1", "flags": SWITCHES}


def _rows(job: SpeedJob) -> list[Call]:
    slower = 1 + 0.01 * job.replicate
    common: dict[str, Any] = {"device": "cpu", "peak_rss_bytes": 1000}
    rows = [Call(scenario="load", stage="load", batch_size=0, call=0, n_images=0, wall_ns=10**9, **common)]
    rows += [Call(scenario="first_call", batch_size=1, call=0, n_images=1, wall_ns=5 * 10**8, **common)]
    sizes = [("single_stream", 1)] + [("offline", size) for size in (1, 2, 4)]
    for scenario, size in sizes:
        for number in range(15):
            whole = Call(
                scenario=scenario, batch_size=size, call=number, n_images=size, wall_ns=round(1e7 * slower), **common
            )
            rows += [whole, replace(whole, stage="sample", wall_ns=round(8e6 * slower))]
    return rows


def _facts(job: SpeedJob) -> dict[str, Any]:
    window = {"reason": None, "warmup_calls": 3, "warmup_seconds": 0.1, "converged": True, "power_capped": False}
    windows = [("single_stream", 1, "ok"), *[("offline", size, "ok") for size in (1, 2, 4)]]
    windows += [("offline", 8, "out_of_memory")]
    return {
        "evaluations_per_image": 3,
        "compile_seconds": 2.5 if job.card.compile else None,
        "energy": {"joules_per_image": None, "reason": "no counter", "batch_size": 4},
        "windows": [
            {"scenario": scenario, "batch_size": size, "status": status, "sm_mhz": None, **window}
            for scenario, size, status in windows
        ],
    }


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Workers:
    made = Workers()
    monkeypatch.setattr(speed_run, "run_worker", made)
    return made


def card(name: str, tmp_path: Path) -> Card:
    return Card(name=name, factory="some:load", path=tmp_path)


def request(tmp_path: Path, *cards: Card, settings: SpeedSettings = SETTINGS) -> SpeedRequest:
    return SpeedRequest(cards=cards, runs=tmp_path / "runs", settings=settings, device="cpu")


def quiet() -> Display:
    return Display(Console(file=StringIO()), quiet=True)


def test_models_are_timed_in_turn_and_counted_once_for_all_variants(workers: Workers, tmp_path: Path) -> None:
    a, b = card("a", tmp_path), card("b", tmp_path)
    variants = (a, at(a, precision="bf16"), at(a, compiled=True), b)
    run = run_speed(request(tmp_path, *variants), quiet())
    names = ["a", "a@bf16", "a@compile", "b"]
    counted = [("flops", "a", 0), ("flops", "b", 0)]
    assert workers.told == counted + [("speed", name, number) for number in range(3) for name in names]
    assert not any(job.card.compile for job in workers.jobs if job.kind == "flops")
    assert run.record.status == "complete" and [*run.record.models] == names
    assert {row.value for row in run.rows if row.metric == "flops_per_image"} == {1e9}
    compiled = {row.model: row for row in run.rows if row.metric == "compile_seconds"}
    assert compiled["a@compile"].value == pytest.approx(2.5) and compiled["a"].reason == "the model is not compiled"


def test_operations_are_counted_in_float32_whatever_the_first_variant_is(workers: Workers, tmp_path: Path) -> None:
    a = card("a", tmp_path)
    run_speed(request(tmp_path, at(a, precision="bf16", compiled=True), at(a, precision="fp16")), quiet())
    (counting,) = [job for job in workers.jobs if job.kind == "flops"]
    assert (counting.card.precision, counting.card.compile) == ("fp32", False)


def test_the_first_process_explores_and_the_others_follow_it(workers: Workers, tmp_path: Path) -> None:
    run_speed(request(tmp_path, card("a", tmp_path)), quiet())
    first, *others = [job for job in workers.jobs if job.kind == "speed"]
    assert (first.auto, first.follows, first.batch_sizes, first.energy_batch) == (True, False, AUTO_SIZES, None)
    told = {(job.auto, job.follows, job.batch_sizes, job.energy_batch) for job in others}
    assert told == {(False, True, (1, 2, 4), 4)}
    assert {len(set(job.prompts)) > 100 and len(set(job.seeds)) == len(job.prompts) for job in workers.jobs} == {True}


def test_numbers_are_those_of_processes(workers: Workers, tmp_path: Path) -> None:
    run = run_speed(request(tmp_path, card("a", tmp_path)), quiet())
    rows = {row.metric: row for row in run.rows}
    rate, latency = rows["images_per_second"], rows["latency_batch1"]
    assert rate.value == pytest.approx(400 / 1.01, rel=1e-3) and rate.params["batch_size"] == 4
    assert (rate.se_method, rate.replicates, rate.n) == ("processes", 3, 3 * 15 * 4)
    assert rate.se == pytest.approx(rate.value * 0.01 / 3**0.5, rel=0.02)
    assert latency.value == pytest.approx(0.0101, rel=1e-3) and (latency.n, latency.replicates) == (45, 3)
    assert rows["latency_p90"].value == pytest.approx(0.0102) and rows["latency_p90"].n == 45
    assert rows["latency_p99"].reason == "needs at least 459 calls; there are 45"
    assert rows["seconds_sample"].value == pytest.approx(0.8 / 400 * 1.01, rel=1e-3)
    assert rows["seconds_text"].reason == "the model marks no such stage"
    assert rows["seconds_sample"].value <= 1 / rate.value
    assert rows["peak_memory"].params["kind"] == "resident" and rows["evaluations_per_image"].value == 3
    assert rows["joules_per_image"].reason == "no counter"
    assert rows["mfu"].reason == "only a GPU has a peak to be compared with"
    frame = run.timings("a")
    assert sorted(set(frame["replicate"])) == [0, 1, 2] and len(frame) == 3 * (2 + 4 * 15 * 2)


def test_an_interrupted_run_goes_on_with_the_process_that_was_cut_off(workers: Workers, tmp_path: Path) -> None:
    asked = request(tmp_path, card("a", tmp_path), card("b", tmp_path))

    def interrupt(job: SpeedJob) -> None:
        if job.kind == "speed" and (job.card.name, job.replicate) == ("b", 1):
            raise KeyboardInterrupt

    workers.before = interrupt
    with pytest.raises(KeyboardInterrupt):
        run_speed(asked, quiet())
    (folder,) = (tmp_path / "runs").glob("2*")
    assert json.loads((folder / "run.json").read_text())["status"] == "cancelled"
    workers.before, workers.jobs = lambda job: None, []
    run = run_speed(asked, quiet())
    assert run.folder.path == folder and run.record.attempts == 2
    assert workers.told == [("speed", "b", 1), ("speed", "a", 2), ("speed", "b", 2)]
    assert run.record.status == "complete"
    assert sorted(set(run.timings("b")["session"])) == [f"{folder.name}/1", f"{folder.name}/2"]
    workers.jobs = []
    assert run_speed(asked, quiet()).folder.path != folder  # it was complete: the same command measures anew


@pytest.mark.parametrize(
    ("first", "later", "named"),
    [
        (GPU, GPU | {"gpu_uuid": "GPU-2"}, "GPU-2"),
        (GPU, GPU | {"memory_gib": 80, "name": "NVIDIA H100 80GB HBM3"}, "NVIDIA H100 80GB HBM3"),
        (GPU, {"device": "cpu"}, "core"),
        ({"device": "cpu"}, {"torch": "2.15.0"}, "torch 2.15"),
    ],
)
def test_a_model_is_not_continued_on_another_machine(
    workers: Workers, tmp_path: Path, first: dict[str, Any], later: dict[str, Any], named: str
) -> None:
    asked, cpu = request(tmp_path, card("a", tmp_path)), dict(workers.environment)

    def interrupt(job: SpeedJob) -> None:
        if job.kind == "speed" and job.replicate == 1:
            raise KeyboardInterrupt

    workers.environment, workers.before = cpu | first, interrupt
    with pytest.raises(KeyboardInterrupt):
        run_speed(asked, quiet())
    workers.environment, workers.before = cpu | later, lambda job: None
    with pytest.raises(UserError, match="^a: was timed on .* before, and this is ") as caught:
        run_speed(asked, quiet())
    assert named in str(caught.value).partition("and this is")[2] and "begins anew" in str(caught.value)
    (folder,) = (tmp_path / "runs").glob("2*")
    record = json.loads((folder / "run.json").read_text())
    assert record["status"] == "failed" and len(record["models"]["a"]["processes"]) == 1
    assert set(Run(folder).timings("a")["replicate"]) == {0}
    workers.environment = cpu | first
    assert run_speed(asked, quiet()).folder.path == folder  # there it goes on


def test_another_driver_is_another_machine(workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workers.environment |= GPU
    drivers = iter(["580.95", "580.105"])
    monkeypatch.setattr(environment, "_driver", lambda: next(drivers))
    with pytest.raises(UserError, match=r"driver 580\.95\) before, and this is .*driver 580\.105"):
        run_speed(request(tmp_path, card("a", tmp_path)), quiet())


def test_rows_that_were_written_before_the_record_knew_are_not_counted_twice(workers: Workers, tmp_path: Path) -> None:
    asked = request(tmp_path, card("a", tmp_path))
    run = run_speed(asked, quiet())
    record = json.loads(run.folder.record.read_text())
    record["models"]["a"]["processes"].pop()
    run.folder.record.write_text(json.dumps(record | {"status": "started"}))
    again = run_speed(asked, quiet())
    assert again.folder.path == run.folder.path
    assert len(again.timings("a")) == len(run.timings("a"))
    assert again.row("a", "latency_batch1") is not None


def test_a_model_that_fails_is_left_alone_and_the_others_go_on(workers: Workers, tmp_path: Path) -> None:
    asked = request(tmp_path, card("broken", tmp_path), card("a", tmp_path))
    run = run_speed(asked, quiet())
    assert [told for told in workers.told if told[0] == "speed"] == [
        ("speed", "broken", 0),
        *[("speed", "a", n) for n in range(3)],
    ]
    assert run.record.status == "failed" and run.record.models["broken"]["status"] == "failed"
    broken = [row for row in run.rows if row.model == "broken"]
    assert {row.status for row in broken} == {"failed"} and len(broken) == len(run.rows) / 2
    assert {row.reason for row in broken} == {"the model failed: RuntimeError: the network fell over"}
    assert set(run.timings("broken")["replicate"]) == {0}  # what it had timed is kept, and counts for nothing
    assert run.row("a", "images_per_second") is not None
    workers.jobs = []
    run_speed(asked, quiet())
    assert workers.told == [("speed", "broken", 0)]  # what was measured stays


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"processes": 0}, "--processes: must be 1 or more"),
        ({"calls": 0}, "--calls: must be 1 or more"),
        ({"seconds": 0.0}, "--seconds: must be a number above 0"),
        ({"budget_seconds": float("nan")}, "--budget: must be a number above 0"),
        ({"batch_sizes": ()}, "--batch-size"),
        ({"scenarios": ()}, "--scenario"),
    ],
)
def test_settings_that_are_impossible_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        SpeedSettings(**change)
    assert message in str(caught.value)


def test_a_job_is_read_as_it_was_written(tmp_path: Path) -> None:
    job = SpeedJob(
        kind="speed",
        card=at(card("a", tmp_path), precision="bf16", compiled=True),
        settings=SpeedSettings(scenarios=("offline",), batch_sizes=(1, 8), auto=False),
        prompts=("x", "y"),
        seeds=(1, 2),
        device="cpu",
        timings=tmp_path / "t.parquet",
        session="s/1",
        replicate=2,
        batch_sizes=(1, 8),
        follows=True,
        energy_batch=8,
    )
    assert read_job(job.write(tmp_path / "job.json")) == job


def test_an_unfinished_run_can_be_shown(workers: Workers, tmp_path: Path) -> None:
    from trilemma.report.coverage import coverage
    from trilemma.report.record import load

    def interrupt(job: SpeedJob) -> None:
        if job.kind == "speed" and job.card.name == "b":
            raise KeyboardInterrupt

    workers.before = interrupt
    asked = request(tmp_path, card("a", tmp_path), card("b", tmp_path))
    with pytest.raises(KeyboardInterrupt):
        run_speed(replace(asked, settings=replace(SETTINGS, processes=1)), quiet())
    (folder,) = (tmp_path / "runs").glob("2*")
    assert [row.state for row in coverage(load(folder))] == ["complete", "not run"]
    assert Run(folder).models == ["a", "b"]
