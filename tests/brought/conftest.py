"""Installed distributions, made of a ``pyproject.toml`` and modules as the guides show them, and the command."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAIN = "from trilemma.cli import main; raise SystemExit(main())"
Answer = subprocess.CompletedProcess[str]
Install = Callable[[Path, str, Mapping[str, str]], None]


def _install(site: Path, pyproject: str, files: Mapping[str, str]) -> None:
    project = tomllib.loads(pyproject)["project"]
    info = f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    points = [
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in entries.items())
        for group, entries in project["entry-points"].items()
    ]
    about = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n",
        f"{info}/entry_points.txt": "".join(points),
    }
    for name, text in {**files, **about}.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)


@pytest.fixture(scope="session")
def install() -> Install:
    """Leaves in a folder what ``pip install`` leaves of a package: its files, name and version, the entry points."""
    return _install


def _command(site: Path, cache: Path, folder: Path, *arguments: str) -> Answer:
    paths = [str(site), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    nowhere = ("TRILEMMA_WEIGHTS", "TRILEMMA_DATA", "TORCH_HOME", "HF_HOME", "HF_HUB_CACHE")
    variables = dict(os.environ) | {name: str(cache / "nowhere") for name in nowhere}
    variables |= {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "TRILEMMA_CACHE": str(cache), "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-P", "-c", MAIN, *arguments], cwd=folder, capture_output=True, text=True, env=variables
    )


@pytest.fixture(scope="session")
def commander() -> Callable[[Path, Path, Path], Callable[..., Answer]]:
    """Gives the command with its path, its cache and the folder that it works in."""
    return lambda site, cache, folder: partial(_command, site, cache, folder)
