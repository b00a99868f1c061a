"""The rules of the house: what lies where, what a wheel carries, what is pinned, and which way imports point."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "trilemma"
DATA_FOLDERS = ("models", "benchmarks", "results")
MAX_TRACKED_BYTES = 60 * 2**20  # eight trained models, their instruments and two reference runs are 57 of them

# A part imports only from parts before it.
LAYERS = (
    "errors",
    "targets",
    "strict_toml",
    "workspace",
    "new_workspace",
    "plugins",
    "stages",
    "identity",
    "card",
    "generator",
    "variant",
    "comparable",
    "protocol",
    "published",
    "protocols",
    "data",
    "families",
    "registry",
    "at_hand",
    "features",
    "training",
    "statistics",
    "metrics",
    "timing",
    "store",
    "conversion",
    "runner",
    "tracking",
    "scoring",
    "claims",
    "report",
    "cli",
)
# Arrays in, numbers out: readable and testable without a network library.
WITHOUT_TORCH = (
    "errors", "targets", "strict_toml", "workspace", "stages", "identity", "card", "variant",
    "comparable", "protocol", "published", "protocols", "metrics", "statistics", "store",
)  # fmt: skip
# Spelt in pieces, so that this file does not break its own rule.
REGISTRY_HOST = re.compile(
    r"\b(?:[\w-]+\.)*(?:" + "|".join(("pypi", "pythonhosted", "npmjs", "anaconda", "debian")) + r")\.(?:org|com|io)\b"
    r"|\bdownload\.pytorch" + r"\.org\b"
)


@cache
def tracked_files() -> tuple[Path, ...]:
    """What git tracks; before the first commit, or without git, what it would track."""
    names = _git_files("--cached") or _git_files("--others", "--exclude-standard")
    return tuple(path for path in (names or _walk()) if path.is_file())


def _git_files(*flags: str) -> list[Path]:
    command = ["git", "-C", str(ROOT), "ls-files", "-z", *flags]
    try:
        listed = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    return [ROOT / name for name in listed.split("\0") if name]


def _walk() -> list[Path]:
    found = []
    for folder, names, files in os.walk(ROOT):
        names[:] = [name for name in names if not name.startswith(".") and name not in ("runs", "checkpoints")]
        found += [Path(folder, name) for name in files if not name.endswith(".pyc")]
    return found


@cache
def project() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return table


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split(";")[0].split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version.strip() for name, version in pairs}


@pytest.mark.parametrize("folder", DATA_FOLDERS)
def test_data_folders_are_not_packages(folder: str) -> None:
    assert (ROOT / folder / "README.md").is_file()
    assert not list((ROOT / folder).rglob("__init__.py"))


def test_wheel_claims_one_name_and_carries_the_data(tmp_path: Path) -> None:
    wheel = next(WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"]))
    names = zipfile.ZipFile(wheel).namelist()
    version = Path(wheel).name.split("-")[1]
    assert f'__version__ = "{version}"' in (SOURCE / "__init__.py").read_text()
    assert {name.split("/")[0] for name in names} == {"trilemma", f"trilemma-{version}.dist-info"}
    assert {f"trilemma/_content/benchmarks/{name}.toml" for name in ("scenes", "claims")} <= set(names)
    cards = {card.parent.name for card in (ROOT / "models").glob("*/card.toml")}
    assert {name.split("/")[3] for name in names if name.endswith("/card.toml")} == cards
    assert "trilemma/_content/results/published/imagenet-256.toml" in names
    content = [name for name in names if name.startswith("trilemma/_content/")]
    assert not [name for name in content if name.endswith(".py") or "/runs/" in name or "checkpoints" in name]


def test_constraints_hold_names_and_versions_only() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert lines == sorted(lines)
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9.-]+==[0-9][\w.]*( ; [\w .<>='\"]+)?", line)] == []


def test_every_direct_dependency_is_pinned_within_its_bounds() -> None:
    extras = [line for group in project()["optional-dependencies"].values() for line in group]
    for requirement in map(Requirement, [*project()["dependencies"], *extras]):
        pinned = pins().get(canonicalize_name(requirement.name))
        assert pinned is not None, f"{requirement.name} is missing from constraints.txt"
        assert requirement.specifier.contains(pinned), f"constraints.txt pins {requirement.name} outside {requirement}"


def test_every_import_of_the_engine_is_a_declared_dependency() -> None:
    declared = {canonicalize_name(Requirement(line).name) for line in project()["dependencies"]}
    owners = packages_distributions()
    tops = {name.split(".")[0] for path in sources() for _, name in imported(path)}
    foreign = tops - sys.stdlib_module_names - {"trilemma"}
    assert [top for top in foreign if not declared & set(map(canonicalize_name, owners.get(top, [top])))] == []


def test_tracked_files_are_small_together() -> None:
    total = sum(path.stat().st_size for path in tracked_files())
    largest = sorted(tracked_files(), key=lambda path: -path.stat().st_size)[:5]
    assert total < MAX_TRACKED_BYTES, f"{total / 2**20:.1f} MiB; the largest: {[str(p) for p in largest]}"


def test_no_tracked_file_names_a_package_registry() -> None:
    guilty = [
        (str(path.relative_to(ROOT)), found.group())
        for path in tracked_files()
        if path.suffix not in (".safetensors", ".npz", ".parquet", ".png")
        for found in REGISTRY_HOST.finditer(path.read_text(errors="ignore"))
    ]
    assert guilty == []


def part_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def sources() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and absolute dotted name of every import in a file, at any depth, and of every lazy "trilemma.x:y"."""
    package = ("trilemma", *path.relative_to(SOURCE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join((*package[: len(package) - node.level + 1], *filter(None, [node.module])))
            yield from ((node.lineno, f"{base if node.level else node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Constant) and re.fullmatch(r"trilemma(\.\w+)+(:\w+)?", str(node.value)):
            yield node.lineno, str(node.value).replace(":", ".")


def imported_parts(path: Path) -> list[tuple[int, str]]:
    names = [(line, f"{name}.".split(".")) for line, name in imported(path)]
    return sorted({(line, part) for line, (owner, part, *_) in names if owner == "trilemma" and part in LAYERS})


def test_every_part_has_a_layer() -> None:
    assert {part_of(path) for path in sources()} - {"__main__"} <= set(LAYERS)


def test_imports_point_one_way() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {part_of(path)} imports {part}"
        for path in sources()
        if part_of(path) in LAYERS
        for line, part in imported_parts(path)
        if LAYERS.index(part) > LAYERS.index(part_of(path))
    ]
    assert wrong == []


def test_statistics_stand_alone() -> None:
    parts = {part for path in sources() if part_of(path) == "statistics" for _, part in imported_parts(path)}
    assert parts <= {"errors", "statistics"}


def test_numeric_parts_import_no_torch() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sources()
        if part_of(path) in WITHOUT_TORCH
        for line, name in imported(path)
        if name.split(".")[0] in ("torch", "torchvision")
    ]
    assert wrong == []
