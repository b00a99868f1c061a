"""The wheel in an environment of its own, outside of any checkout: a first day's commands work in an empty folder."""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hatchling.builders.wheel import WheelBuilder
from PIL import Image

from trilemma.metrics.catalog import OWN
from trilemma.store.run import Run

ROOT = Path(__file__).resolve().parents[1]
Answer = subprocess.CompletedProcess[str]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built without isolation, and so without a network."""
    built = WheelBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("dist")), versions=["standard"])
    return Path(next(iter(built)))


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installed command. Its environment sees the packages that the wheel needs, but not this checkout."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=False, symlinks=True)
    python = place / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", "--quiet"]
    subprocess.run([*install, str(wheel)], check=True)
    (packages,) = place.glob("lib/python*/site-packages")
    # Paths in such a file are searched, but the files of its kind in them, by which a checkout is installed, are not.
    (packages / "packages_of_the_tests.pth").write_text("\n".join(site.getsitepackages()))
    return place / "bin" / "trilemma"


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("empty")


@pytest.fixture(scope="module")
def trilemma(program: Path, empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Answer]:
    """Runs the command in the empty folder, with nothing in any cache."""
    nowhere = str(tmp_path_factory.mktemp("nowhere"))
    gone = ("TRILEMMA_CACHE", "TRILEMMA_WEIGHTS", "TRILEMMA_DATA", "TORCH_HOME", "HF_HOME", "HF_HUB_CACHE", "HOME")
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    variables |= dict.fromkeys(gone, nowhere) | {"COLUMNS": "200"}

    def run(*arguments: str) -> Answer:
        return subprocess.run([str(program), *arguments], cwd=empty, capture_output=True, text=True, env=variables)

    return run


def test_it_carries_all_that_is_needed_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    content = "trilemma/_content"
    for pattern in ("benchmarks/*.toml", "benchmarks/instruments/**/*.*", "benchmarks/reference/*.npz",
                    "models/*/card.toml", "models/**/*.safetensors"):  # fmt: skip
        wanted = {path.relative_to(ROOT) for path in ROOT.glob(pattern) if "checkpoints" not in path.parts}
        assert {f"{content}/{path.as_posix()}" for path in wanted} <= names, pattern
    for folder in ("templates", "families/child"):
        source = ROOT / "src" / "trilemma" / folder
        files = [path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
        assert (
            files and {f"trilemma/{path.relative_to(ROOT / 'src' / 'trilemma').as_posix()}" for path in files} <= names
        )
    unwanted = ("/checkpoints/", "/runs/", "/tests/", "/perf/", "__pycache__", ".pyc", ".tmp", ".index")
    assert [name for name in names if any(word in name for word in unwanted)] == []


def test_list_shows_the_suite_s_own(trilemma: Callable[..., Answer], program: Path) -> None:
    told = trilemma("list", "--json")
    assert told.returncode == 0, told.stderr
    listed = json.loads(told.stdout)
    assert listed["root"].startswith(str(program.parents[1])) and listed["root"].endswith("_content")
    assert {model["name"] for model in listed["models"]} == {
        path.parent.name for path in ROOT.glob("models/*/card.toml")
    }
    protocols = {path.stem for path in ROOT.glob("benchmarks/*.toml")} - {"claims"}
    assert {protocol["name"] for protocol in listed["protocols"]} == protocols
    assert {metric["name"] for metric in listed["metrics"]} == OWN and listed["plugins"] == []
    people = trilemma("list")
    assert people.returncode == 0 and "Presets of score" in people.stderr


def test_run_measures_and_leaves_everything_in_the_working_folder(
    trilemma: Callable[..., Answer], program: Path, empty: Path
) -> None:
    carried = program.parents[1] / "lib"
    before = {path: path.stat().st_mtime_ns for path in carried.rglob("*.toml")}
    told = trilemma("run", "--samples", "256", "--models", "gan,real", "--quiet")
    assert told.returncode == 0, told.stderr
    (folder,) = (empty / "results" / "runs").iterdir()
    run = Run(folder)
    assert run.record.status == "complete" and run.record.partial and run.models == ["gan", "real"]
    assert run.record.tool["git"] is None
    values = {(row.model, row.metric): row.value for row in run.rows}
    assert (values["real", "fd_scenes"] or 1e9) < (values["gan", "fd_scenes"] or 0)
    assert values["gan", "images_per_second"] is not None and str(folder / "report.html") in told.stderr
    assert (folder / "report.html").stat().st_size > 100_000
    assert {path: path.stat().st_mtime_ns for path in carried.rglob("*.toml")} == before


def test_score_compares_two_folders(trilemma: Callable[..., Answer], empty: Path) -> None:
    rng = np.random.default_rng(0)
    for number, name in enumerate(("a", "b")):
        (empty / name).mkdir()
        for image in rng.integers(0, 200 + 50 * number, (64, 32, 32, 3), dtype=np.uint8):
            Image.fromarray(image).save(empty / name / f"{len(list((empty / name).iterdir())):03}.png")
    told = trilemma("score", "a", "b", "--preset", "scenes", "--json", "--quiet")
    assert told.returncode == 0, told.stderr
    assert '"fd_scenes"' in told.stdout and "FD-Scenes" in told.stderr
    missing = trilemma("score", "a", "b")
    assert missing.returncode == 2 and missing.stderr.count("\n") == 1
    assert "are missing" in missing.stderr and "--download" in missing.stderr


def test_init_works_from_the_wheel(trilemma: Callable[..., Answer], empty: Path) -> None:
    told = trilemma("init", "lab")
    assert told.returncode == 0, told.stderr
    listed = json.loads(trilemma("list", "--json", "--root", "lab").stdout)
    assert [model["name"] for model in listed["models"]] == ["mine"]
    assert trilemma("prompts", "scenes", "--root", "lab", "--samples", "2").returncode == 0
