"""Killed, interrupted, started again: nothing is made twice, and nothing differs in the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from trilemma.errors import UserError
from trilemma.store.lock import locked
from trilemma.store.run import Run

DRIVE = Path(__file__).parent / "fakes" / "drive.py"
PATIENCE = 120.0


def start(root: Path, out: Path, cache: Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(DRIVE), str(root), str(out), str(cache), "slow"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_parts(out: Path, count: int, process: subprocess.Popen[str]) -> list[Path]:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        parts = sorted(out.glob("*/parts/slow/*.parquet"))
        if len(parts) >= count:
            return parts
        time.sleep(0.02)
    raise AssertionError(f"never saw {count} parts: {process.communicate()}")


def wait_for_end(pid: int) -> None:
    try:
        psutil.Process(pid).wait(PATIENCE)
    except psutil.NoSuchProcess:
        return


@pytest.fixture(scope="module")
def interrupted(root: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run that was interrupted, then killed, then left to end; and what the last process printed."""
    out = tmp_path_factory.mktemp("interrupted")

    first = start(root, out, cache)
    wait_for_parts(out, 2, first)
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=PATIENCE)
    (run,) = out.iterdir()
    assert Run(run).record.status == "cancelled"
    assert not (run / "lock").exists()

    second = start(root, out, cache)
    wait_for_parts(out, 6, second)
    workers = [child.pid for child in psutil.Process(second.pid).children()]
    assert len(workers) == 1
    os.kill(second.pid, signal.SIGKILL)
    second.communicate(timeout=PATIENCE)
    wait_for_end(workers[0])  # the worker must not outlive its parent
    assert Run(run).record.status == "started" and (run / "lock").exists()

    third = start(root, out, cache)
    printed, errors = third.communicate(timeout=PATIENCE)
    assert third.returncode == 0, errors
    return run, printed


def test_it_is_one_run_and_it_is_complete(interrupted: tuple[Path, str]) -> None:
    path, _ = interrupted
    assert [folder.name for folder in path.parent.iterdir()] == [path.name]
    record = Run(path).record
    assert (record.status, record.attempts, record.errors) == ("complete", 3, {})
    events = [line.split('"event": "')[1].split('"')[0] for line in (path / "events.jsonl").read_text().splitlines()]
    assert events == ["started", "cancelled", "continued", "continued", "model done", "complete"]


def test_nothing_is_made_twice(interrupted: tuple[Path, str]) -> None:
    samples = Run(interrupted[0]).samples("slow")
    assert len(samples) == 224 and samples["key"].is_unique
    by_batch = samples.groupby(["set", "batch"], sort=False)["worker"].agg(["nunique", "first"])
    assert (by_batch["nunique"] == 1).all()
    assert by_batch["first"].nunique() == 3
    assert sorted(samples["attempt"].unique()) == [1, 2, 3]
    assert (samples.groupby("attempt")["worker"].nunique() == 1).all()
    changes = (by_batch["first"] != by_batch["first"].shift()).sum()
    assert changes == 3  # each attempt goes on where the one before it was left


def test_the_time_that_it_took_is_that_of_all_attempts(interrupted: tuple[Path, str]) -> None:
    run = Run(interrupted[0])
    drawing, samples = run.record.models["slow"]["drawing"], run.samples("slow")
    spans = samples.groupby("attempt").agg({"t_start": "min", "t_measured": "max"})
    within = spans["t_measured"] - spans["t_start"]
    assert drawing["attempts"] == 3
    assert within.sum() < drawing["wall_seconds"] < spans["t_measured"].max() - spans["t_start"].min()
    batches = samples.drop_duplicates(["set", "batch"])
    assert drawing["generate_seconds"] == pytest.approx((batches["t_end"] - batches["t_start"]).sum())


def test_the_digests_are_those_of_an_undisturbed_run(
    interrupted: tuple[Path, str], root: Path, cache: Path, tmp_path: Path
) -> None:
    undisturbed = start(root, tmp_path, cache)
    _, errors = undisturbed.communicate(timeout=PATIENCE)
    assert undisturbed.returncode == 0, errors
    (path,) = tmp_path.iterdir()
    one, other = Run(interrupted[0]), Run(path)
    pictures = {name for name in other.record.files if name.startswith("images/")}
    assert len(pictures) == 4 and {one.record.files[n] for n in pictures} == {other.record.files[n] for n in pictures}
    columns = ["set", "key", "seed", "image_sha256", "residual", "clip_score"]
    assert one.samples("slow")[columns].equals(other.samples("slow")[columns])
    values = [{r.metric: r.value for r in run.rows if r.unit not in ("s", "bytes", "images/s")} for run in (one, other)]
    quality = [{k: v for k, v in run.items() if not k.startswith("score_speed")} for run in values]
    assert quality[0] == quality[1]


def test_the_process_that_ran_it_never_imported_torch(interrupted: tuple[Path, str]) -> None:
    assert interrupted[1].split() == ["False"]


def test_a_run_that_another_process_works_on_is_left_alone(
    interrupted: tuple[Path, str], root: Path, cache: Path, tmp_path: Path
) -> None:
    import shutil

    import drive

    path = shutil.copytree(interrupted[0], tmp_path / interrupted[0].name)
    record = Run(path).record
    record.status = "started"
    record.write(path / "run.json")
    with locked(path / "lock"), pytest.raises(UserError, match="another process is at work"):
        drive.drive(root, tmp_path, cache, "slow")
    assert Run(path).record == record
