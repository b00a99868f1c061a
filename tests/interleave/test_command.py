"""``compare --interleave`` from its arguments to its exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from trilemma.cli import main
from trilemma.cli.interleave import exit_code

PATIENCE = 60.0
COMMON = ("--protocol", "small", "--allow-busy", "--quiet")


def compare(other: Path, root: Path, *arguments: str) -> int:
    return main(["compare", "--interleave", str(other), "--root", str(root), *COMMON, *arguments])


def outside(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    code = "import sys; from trilemma.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "compare", *COMMON, *arguments]
    return subprocess.Popen(
        command, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_version_that_works_twice_is_slower(slower: Path, ours: Path) -> None:
    """The command is that of the patched version; what it is compared with is a copy of ours."""
    environment = {"PYTHONPATH": os.pathsep.join([str(slower / "src"), os.environ["PYTHONPATH"]])}
    options = ("--root", str(slower), "--models", "renderer", "--scenario", "offline", "--json")
    with outside(environment, "--interleave", str(ours), *options) as process:
        printed, errors = process.communicate()
    assert process.returncode == 1, errors
    (found,) = json.loads(printed)
    assert (found["verdict"], found["metric"], found["batch_size"]) == ("REGRESSED", "images_per_second", 4)
    assert found["log_ratio"] == pytest.approx(0.693, abs=0.005)
    assert found["a_seconds"] == pytest.approx(0.004, rel=0.005)
    assert "".join(process["side"] for process in found["processes"]) == "ABBAABBAAB"
    assert all(len(process["wall_ns"]) == 3 for process in found["processes"])
    assert "REGRESSED" in errors and "5+5" in errors and "+100." in errors


def test_a_checkout_against_itself_in_few_processes(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(root, root, "--models", "renderer", "--scenario", "offline", "--processes", "2") == 3
    printed = capsys.readouterr()
    assert "INCONCLUSIVE" in printed.err and "2+2" in printed.err
    assert "a verdict needs 5 processes on each side" in printed.err and "differs:" not in printed.err


def test_a_model_that_dies_is_invalid(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(root, root, "--models", "dying", "--json") == 1
    printed = capsys.readouterr()
    single, offline = json.loads(printed.out)
    assert single["verdict"] == offline["verdict"] == "INVALID" and single["reason"] == "status_failed"
    assert "A: the model's process was killed by SIGABRT." in printed.err


def test_a_version_without_timing_jobs_is_exit_code_2(
    older: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(older, root, "--models", "renderer") == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"error: the checkout at {older} cannot be timed: its version does not know timing")
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give two runs, or --interleave and no run."),
        (("latest",), "give two runs, or --interleave and no run."),
        (("latest", "latest", "--interleave", "."), "give two runs, or --interleave and no run."),
        (("latest", "latest", "--processes", "3"), "--processes: is for --interleave."),
        (("latest", "latest", "--batch-size", "3"), "--batch-size: is for --interleave."),
        (("--interleave", ".", "--protocol", "scens"), 'there is no protocol "scens"'),
        (("--interleave", ".", "--protocol", "small", "--models", "rendrer"), 'Did you mean "renderer"?'),
        (("--interleave", ".", "--protocol", "small", "--models", ","), "no model is named."),
        (("--interleave", ".", "--protocol", "small", "--scenario", "server"), '--scenario: there is no scenario "'),
        (("--interleave", ".", "--protocol", "small", "--scenario", ","), "--scenario: no scenario is named."),
        (("--interleave", ".", "--protocol", "small", "--device", "gpu"), 'there is no device "gpu"'),
        (("--interleave", ".", "--protocol", "small", "--processes", "1"), "--processes: must be at least 2, got 1."),
        (("--interleave", "nothing", "--protocol", "small"), "nothing: this is no checkout"),
    ],
)
def test_a_users_error_is_one_line_and_exit_code_2(
    arguments: tuple[str, ...],
    message: str,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(root)
    assert main(["compare", *arguments, "--root", str(root)]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and message in printed.err
    assert printed.err.startswith("error: ") and printed.err.count("\n") == 1


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        (["SAME", "IMPROVED"], 0),
        (["SAME", "INCONCLUSIVE", "INCOMPARABLE"], 0),
        (["INCONCLUSIVE", "INCOMPARABLE"], 3),
        (["SAME", "REGRESSED"], 1),
        (["INCONCLUSIVE", "INVALID"], 1),
    ],
)
def test_exit_codes(verdicts: list[str], code: int) -> None:
    assert exit_code(verdicts) == code


def test_controls_are_not_timed_unless_they_are_named(root: Path) -> None:
    from trilemma.cli.interleave import chosen_models
    from trilemma.protocols import find_protocol
    from trilemma.workspace import find_workspace

    card = root / "models" / "crashing" / "card.toml"
    card.write_text(f"control = true\n{card.read_text()}")
    protocol = find_protocol("small", find_workspace(root))
    assert [card.name for card in chosen_models(None, protocol, root)] == ["renderer", "dying", "lingering"]
    assert [card.name for card in chosen_models("crashing", protocol, root)] == ["crashing"]


def test_an_interrupted_command_leaves_nothing(root: Path, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    options = ("--interleave", str(root), "--root", str(root), "--models", "lingering")
    with outside({"TMPDIR": str(temporary)}, *options) as process:
        worker = wait_for_worker(process, temporary)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert not worker.is_running() and list(temporary.iterdir()) == []


def wait_for_worker(process: subprocess.Popen[str], temporary: Path) -> psutil.Process:
    """Returns the worker once it has begun with its model."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        logs = [log for log in temporary.glob("*/worker.log") if "models print" in log.read_text()]
        if logs:
            (worker,) = psutil.Process(process.pid).children()
            return worker
        time.sleep(0.02)
    process.kill()
    raise AssertionError(f"never saw a worker: {process.communicate()}")
