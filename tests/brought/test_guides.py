"""What the guides have people install, installed: each is found by its name, measures, and stands in the record."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from trilemma.protocol import load_protocol
from trilemma.report import write_report
from trilemma.runner.reference_sets import reference_sets
from trilemma.store.metric_rows import MetricRow
from trilemma.store.run import Run

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "src" / "trilemma" / "templates"
MODULE = re.compile(r"`(\w+\.py)`:\n\n```python\n(.*?)```", re.DOTALL)
PYPROJECT = re.compile(r"```toml\n(\[project\].*?)```", re.DOTALL)
EDGES = """
[project]
name = "trilemma-edges"
version = "2.1"
[project.entry-points."trilemma.features"]
edges = "edges:RECIPE"
"""
PROTOCOL = """
name = "brought"
version = 1
title = "All that is measured here comes from plug-ins"
data = "ramps"
resolution = 32
batch_size = 16
models = ["ours"]
metrics = ["fd", "coverage", "contrast"]
[[sets]]
name = "prompted"
prompts = "classes"
images = 32
[extractors]
features = "edges"
[reference]
images = 64
split = "test"
floor_images = 64
floor_split = "train"
heldout_images = 0
training_images = 0
"""
PLUGGED = {
    ("data", "ramps"): ("trilemma-ramps", "1.0"),
    ("features", "edges"): ("trilemma-edges", "2.1"),
    ("metrics", "contrast"): ("trilemma-contrast", "1.0"),
    ("models", "ours"): ("trilemma-ours", "0.3"),
}


def guide(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def install_all(site: Path, install: Callable[..., None], edges: str = EDGES) -> None:
    """Installs what the guides show."""
    metric, data, model = (guide(f"your-{name}.md") for name in ("metric", "data-set", "model"))
    modules = dict(MODULE.findall(metric + data))
    assert modules.keys() == {"contrast.py", "edges.py", "ramps.py"}
    install(site, PYPROJECT.findall(metric)[0], {"contrast.py": modules["contrast.py"]})
    install(site, edges, {"edges.py": modules["edges.py"]})
    install(site, PYPROJECT.findall(data)[0], {"ramps.py": modules["ramps.py"]})
    install(site, PYPROJECT.findall(model)[0], model_package())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, install: Callable[..., None]) -> Path:
    """A workspace, and beside it a folder of installed packages, each as its guide has it."""
    place = tmp_path_factory.mktemp("brought")
    install_all(place / "site", install)
    workspace = place / "workspace"
    (workspace / "benchmarks").mkdir(parents=True)
    (workspace / "benchmarks" / "brought.toml").write_text(PROTOCOL)
    (workspace / "models" / "idle").mkdir(parents=True)
    (workspace / "models" / "idle" / "card.toml").write_text('name = "idle"\nfactory = "nowhere:build"\n')
    return place


def model_package() -> dict[str, str]:
    """The model of ``init``, as a package that others can install."""
    card = (TEMPLATES / "models" / "mine" / "card.toml.template").read_text()
    card = card.replace('name = "mine"', 'name = "ours"').replace("generator:build", "trilemma_ours.generator:build")
    code = (TEMPLATES / "models" / "mine" / "generator.py.template").read_text()
    return {f"trilemma_ours/{name}": text for name, text in
            {"__init__.py": "", "card.toml": card, "generator.py": code}.items()}  # fmt: skip


@pytest.fixture(scope="module")
def command(place: Path, commander: Callable[..., Any]) -> Callable[..., CompletedProcess[str]]:
    found: Callable[..., CompletedProcess[str]] = commander(place / "site", place / "cache", place / "workspace")
    return found


@pytest.fixture(scope="module")
def finished(command: Callable[..., CompletedProcess[str]], place: Path) -> Run:
    answer = command("run", "brought", "--device", "cpu", "--quiet")
    assert answer.returncode == 0, answer.stderr
    (folder,) = (place / "workspace" / "results" / "runs").iterdir()
    return Run(folder)


def rows(run: Run) -> dict[str, MetricRow]:
    return {row.metric: row for row in run.rows}


def test_list_shows_them(command: Callable[..., CompletedProcess[str]]) -> None:
    listed = json.loads(command("list", "--json").stdout)
    assert {(row["kind"], row["name"]): (row["distribution"], row["version"]) for row in listed["plugins"]} == PLUGGED
    assert [row["error"] for row in listed["plugins"]] == [None] * len(PLUGGED)
    assert {metric["name"]: metric["title"] for metric in listed["metrics"]}["contrast"] == "Contrast"
    assert "trilemma-ramps" in command("list").stderr


def test_a_run_can_be_made_of_them_alone(finished: Run) -> None:
    assert finished.record.status == "complete" and finished.models == ["ours"]
    found = rows(finished)
    thumbnails = finished.features("ours")["thumbnails"].astype(float)
    assert found["contrast"].value == pytest.approx(thumbnails.std(axis=1).mean())
    assert (found["contrast"].se or 0) > 0 and found["contrast"].unit == "grey levels"
    assert (found["contrast"].n, found["contrast"].set, found["contrast"].extractor) == (32, "prompted", None)
    assert finished.features("ours")["features"].shape == (32, 48)
    assert (found["fd"].value or 0) > 0 and found["score_quality"].value is not None
    assert (found["fd"].extractor or "").startswith("features:")


def test_the_record_names_who_took_part(finished: Run) -> None:
    told = {(one["kind"], one["name"]): (one["distribution"], one["version"]) for one in finished.record.env["plugins"]}
    assert told == PLUGGED


def test_another_version_of_a_network_is_another_identity(
    finished: Run, place: Path, install: Callable[..., None], commander: Callable[..., Any]
) -> None:
    install_all(place / "next", install, EDGES.replace("2.1", "2.2"))
    command = commander(place / "next", place / "cache", place / "workspace")
    answer = command("run", "brought", "--device", "cpu", "--quiet", "--out", str(place / "runs"))
    assert answer.returncode == 0, answer.stderr
    (folder,) = (place / "runs").iterdir()
    again = Run(folder)
    assert again.record.identity != finished.record.identity
    assert rows(again)["fd"].value == rows(finished)["fd"].value
    assert rows(again)["fd"].extractor != rows(finished)["fd"].extractor


def test_real_images_are_kept_by_the_version_of_their_data_set(
    place: Path, tmp_path: Path, install: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it says itself that its images are the same."""
    protocol = load_protocol(place / "workspace" / "benchmarks" / "brought.toml")
    data, digests = guide("your-data-set.md"), []
    for version in ("1.0", "1.1"):
        pyproject = PYPROJECT.findall(data)[0].replace('"1.0"', f'"{version}"')
        install(tmp_path / version, pyproject, {"ramps.py": dict(MODULE.findall(data))["ramps.py"]})
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(tmp_path / version))
            digests.append(reference_sets(protocol)[0].digest(protocol, {"features": "x"}))
    assert digests[0] != digests[1]


def test_the_report_says_what_the_plug_in_says(finished: Run, command: Callable[..., CompletedProcess[str]]) -> None:
    assert command("report", finished.record.run_id).returncode == 0
    page = (finished.folder.path / "report.html").read_text()
    assert "Contrast" in page and "trilemma-contrast" in page


def test_the_record_can_be_read_without_the_plug_ins(finished: Run) -> None:
    page = write_report(finished.folder.path).read_text()
    assert "contrast" in page and "Contrast" not in page


def test_score_takes_their_networks_and_models(command: Callable[..., CompletedProcess[str]]) -> None:
    answer = command("score", "scenes:heldout", "ours", "--preset", "edges", "--samples", "64", "--reference", "64",
                     "--json", "--quiet")  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    document = json.dumps(json.loads(answer.stdout))
    assert '"fd"' in document and "trilemma-edges 2.1" in document
