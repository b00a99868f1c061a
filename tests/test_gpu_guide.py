"""What docs/gpu.md has people run: the scripts are sound, and do at tiny size on a CPU what they do on a GPU."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GUIDE = (ROOT / "docs" / "gpu.md").read_text()
SCRIPTS = sorted((ROOT / "scripts").glob("*.sh"))
ALL = ROOT / "scripts" / "gpu_all.sh"
STEPS = ("check", "embedded", "real", "scenes", "noise", "overhead")
PROTOCOL = """
name = "tiny"
version = 1
title = "Two images, counted"
data = "scenes"
resolution = 32
batch_size = 2
models = ["gan"]
metrics = []
[[sets]]
name = "prompted"
prompts = "captions"
split = "prompts"
images = 2
"""
TINY = {
    "EMBEDDED": "gan", "REAL_SIZE": "", "PRECISION": "fp32", "COMPILE": "", "BATCH_SIZE": "1,2", "PROCESSES": "1",
    "CALLS": "2", "TIMED_SECONDS": "0.01", "BUDGET": "1", "MODELS": "gan", "DEVICE": "cpu", "PYTHON": sys.executable,
    "OMP_NUM_THREADS": "1",
}  # fmt: skip


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)
    return [line.split(" #")[0].strip() for block in blocks for line in block.splitlines()]


def gpu_all(work: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment: Mapping[str, str] = os.environ | TINY | {"WORK": str(work), "OUT": str(work / "out")} | settings
    command = ["bash", str(ALL), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)


def packed(archive: Path) -> list[str]:
    with tarfile.open(archive) as tar:
        return tar.getnames()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_sound(script: Path) -> None:
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
    if checker := shutil.which("shellcheck"):
        found = subprocess.run(
            [checker, "--severity=warning", str(script)], capture_output=True, text=True, check=False
        )
        assert found.returncode == 0, found.stdout


def test_the_guide_names_scripts_and_steps_that_exist() -> None:
    called = [re.sub(r"^(?:\w+=(?:\"[^\"]*\"|\S*) )*", "", line) for line in commands()]
    scripts = [line.split() for line in called if line.startswith("scripts/")]
    assert {name for name, *_ in scripts} == {"scripts/gpu_all.sh", "scripts/gpu_wheels.sh"}
    assert all((ROOT / name).is_file() for name, *_ in scripts)
    for name, seconds, *steps in (parts for parts in scripts if parts[0].endswith("gpu_all.sh")):
        assert seconds.isdecimal() and set(steps) <= set(STEPS), name
    in_the_table = re.findall(r"^\| `(\w+)` \|", GUIDE, re.MULTILINE)
    assert ("check", *in_the_table) == STEPS
    assert "default: all, in this order" in ALL.read_text() and " ".join(STEPS) in ALL.read_text()


def test_the_guide_and_the_script_time_the_same_models() -> None:
    script = ALL.read_text()
    (embedded, real) = (re.search(rf"{name}-([^}}]*)}}", script) for name in ("EMBEDDED", "REAL_SIZE"))
    assert embedded is not None and real is not None
    timed = [line.split() for line in commands() if "bench.py speed" in line]
    assert [parts[3 : parts.index("--scenario")] for parts in timed] == [embedded[1].split(), real[1].split()]
    assert timed[0][timed[0].index("--scenario") :] == timed[1][timed[1].index("--scenario") :]
    known = {path.parent.name for path in ROOT.glob("models/*/card.toml")}
    assert {*embedded[1].split(), *real[1].split()} <= known


def test_settings_of_the_guide_are_those_of_the_script() -> None:
    named = {name for line in commands() for name in re.findall(r"(?:^| )([A-Z_]+)=", line)}
    assert named and [name for name in named if f"${{{name}" not in ALL.read_text()] == []


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gpu")


def test_a_step_is_done_packed_and_not_done_again(work: Path) -> None:
    (work / "tiny.toml").write_text(PROTOCOL)
    first = gpu_all(work, "500", "check", "scenes", PROTOCOL=str(work / "tiny.toml"))
    assert first.returncode == 0, first.stdout + first.stderr
    assert "torch" in first.stdout and "gpu: scenes is done" in (work / "out" / "log.txt").read_text()
    names = packed(work / "out" / "scenes.tar.gz")
    assert any(name.endswith("/run.json") for name in names) and marked(names, "scenes")
    assert not any(part in name for name in names for part in ("/images", "/features", "/parts", "/logs"))
    (work / "tiny.toml").unlink()
    again = gpu_all(work, "500", "scenes", PROTOCOL=str(work / "tiny.toml"), BUDGET="7")
    assert again.returncode == 0 and "scenes was done before" in again.stdout


@pytest.mark.parametrize("changed", [{"PROTOCOL": "no such file.toml"}, {"MODELS": "gaan"}, {"SAMPLES": "0"}])
def test_with_other_settings_a_step_is_not_done(work: Path, changed: dict[str, str]) -> None:
    """Settings that cannot be carried out: that they are tried is what counts."""
    settings = {"PROTOCOL": str(work / "tiny.toml")} | changed
    again = gpu_all(work, "500", "scenes", **settings)
    assert again.returncode == 1 and "not finished: scenes" in again.stdout


def marked(names: list[str], step: str) -> bool:
    return any(re.fullmatch(rf"finished/{step}-[0-9a-f]{{12}}", name) for name in names)


def test_speed_is_timed_and_packed(work: Path) -> None:
    found = gpu_all(work, "500", "embedded", "real")
    assert found.returncode == 0, found.stdout + found.stderr
    names = packed(work / "out" / "speed.tar.gz")
    assert any(re.fullmatch(r"speed/[^/]+/metrics.jsonl", name) for name in names)
    assert marked(names, "embedded") and marked(names, "real")


def test_what_there_is_no_time_for_is_said(tmp_path: Path) -> None:
    found = gpu_all(tmp_path, "5", "scenes", "overhead")
    assert found.returncode == 1
    assert "not finished: scenes overhead; the same command goes on" in found.stdout
    assert not list((tmp_path / "finished").iterdir())


@pytest.mark.parametrize(("deadline", "given"), [(90, "90"), (0, "1"), (-7, "1")])
def test_no_command_is_without_a_limit(deadline: int, given: str) -> None:
    """To `timeout`, 0 seconds are no limit at all."""
    function = re.search(r"^limited\(\) \{.*?^\}", ALL.read_text(), re.MULTILINE | re.DOTALL)
    assert function is not None
    script = f'set -u; timeout() {{ echo "$@"; }}; {function[0]}; SECONDS=0; deadline={deadline}; limited work'
    printed = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert printed[-2:] == [given, "work"]


def test_what_a_gpu_machine_lacks_is_named(tmp_path: Path) -> None:
    found = gpu_all(tmp_path, "60", "check", DEVICE="cuda", CUDA_VISIBLE_DEVICES="")
    assert found.returncode != 0 and "a GPU that torch sees" in found.stdout
    assert ("nvidia-ml-py" in found.stdout) == (find_spec("pynvml") is None)


def test_a_step_that_fails_is_not_done(tmp_path: Path) -> None:
    found = gpu_all(tmp_path, "300", "scenes", MODELS="gaan")
    assert found.returncode == 1 and "not finished: scenes" in found.stdout
    assert 'there is no model "gaan"' in (tmp_path / "out" / "log.txt").read_text()


def test_mistakes_are_told(tmp_path: Path) -> None:
    unknown = gpu_all(tmp_path, "60", "scnes")
    assert unknown.returncode == 2 and 'there is no step "scnes"' in unknown.stderr
    assert gpu_all(tmp_path).returncode != 0


@pytest.mark.parametrize("named", [["rich"], []])
def test_wheels_are_asked_for_by_the_pinned_versions(tmp_path: Path, named: list[str]) -> None:
    """A pip that only writes down what it is asked for."""
    fake = tmp_path / "python"
    fake.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/asked\n')
    fake.chmod(0o755)
    copy = shutil.copytree(ROOT / "scripts", tmp_path / "checkout" / "scripts")
    (copy.parent / ".whl").mkdir()
    (copy.parent / ".whl" / "x.whl").write_text("")
    environment = os.environ | {"PYTHON": str(fake)}
    subprocess.run(["bash", str(copy / "gpu_wheels.sh"), *named], env=environment, check=True, capture_output=True)
    asked = (tmp_path / "asked").read_text().split("\n")
    packages = asked[asked.index(".whl") + 1 : -1]
    assert asked[:3] == ["-m", "pip", "download"] and set(packages) >= set(named or ["diffusers", "nvidia-ml-py"])
    assert {"--no-deps", "--only-binary=:all:", "constraints.txt", "3.12"} <= set(asked)
