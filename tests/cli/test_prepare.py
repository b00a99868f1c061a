"""``prepare`` and what ``list`` says of protocols, from the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trilemma import workspace
from trilemma.cli import main
from trilemma.runner import prepare as preparing

PROTOCOL = """
name = "small"
version = 1
title = "Small"
data = "fashion-mnist"
resolution = 32
metrics = ["fid"]
[[sets]]
name = "prompted"
prompts = "classes"
images = 10
[extractors]
features = "fid"
[reference]
images = 60
split = "test"
heldout_images = 0
training_images = 0
floor_images = 40
floor_split = "validation"
features = "reference/small.npz"
"""


class Fake:
    def measure(self, images: torch.Tensor, prompts: list[str]) -> dict[str, Any]:
        return {"features": images.float().mean((2, 3)).numpy() * 1000}


@pytest.fixture
def root(tmp_path: Path, small_fashion_mnist: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRILEMMA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(preparing, "identity", lambda protocol: {"features": "f" * 64})
    monkeypatch.setattr(preparing, "_instruments", lambda protocol, device: Fake())
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "small.toml").write_text(PROTOCOL)
    (tmp_path / "models" / "one").mkdir(parents=True)
    (tmp_path / "models" / "one" / "card.toml").write_text('name = "one"\nfactory = "nothing:load"\n')
    return tmp_path


def test_the_file_is_written_where_the_protocol_looks(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "small", "--root", str(root), "--quiet", "--json"]) == 0
    told = capsys.readouterr()
    path = root / "benchmarks" / "reference" / "small.npz"
    written = {"file": str(path), "images": {"reference": 60, "floor": 40, "reduced": 10}, "reader_accuracy": {}}
    assert json.loads(told.out) == written and f"Reference features: {path}" in told.err
    with np.load(path) as stored:
        assert stored["floor.features"].shape == (40, 3)
        assert stored["reference.features"].dtype == np.float32  # features as large as these do not fit into half of it


@pytest.mark.parametrize("explicit", [False, True])
def test_the_place_of_a_published_file_is_not_written_to(
    root: Path, explicit: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """There it would be found before the published one, which may lie in $TRILEMMA_DATA."""
    source = PROTOCOL + 'source = "https://example.org/small"\n'
    (root / "benchmarks" / "small.toml").write_text(source)
    place = root / "benchmarks" / "reference" / "small.npz"
    out = ["--out", str(place)] if explicit else []
    assert main(["prepare", "small", "--root", str(root), "--quiet", *out]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert 'the place of the published file "reference/small.npz", from https://example.org/small' in told
    assert "--out FILE.npz" in told and not place.exists()
    assert main(["prepare", "small", "--root", str(root), "--quiet", "--out", str(root / "own.npz")]) == 0
    assert (root / "own.npz").is_file()


@pytest.mark.parametrize("name", ["imagenet256", "sdxl-mlperf"])
def test_the_suites_own_published_references_are_not_written_to(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", name, "--quiet"]) == 2
    assert "this is the place of the published file" in " ".join(capsys.readouterr().err.split())


def test_the_installed_suite_is_not_written_to(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(workspace, "_PACKAGE", root / "package")
    content = root / "package" / "_content"
    shutil.copytree(root / "benchmarks", content / "benchmarks")
    shutil.copytree(root / "models", content / "models")
    assert main(["prepare", "small", "--root", str(content), "--quiet"]) == 2
    assert "lies in the installed suite" in " ".join(capsys.readouterr().err.split())
    assert not list(content.rglob("*.npz"))


def test_scenes_need_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "scenes"]) == 2
    assert "over Scenes, which are drawn: there is nothing to prepare" in capsys.readouterr().err


def test_the_list_says_what_a_protocol_is_comparable_with(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    shown = " ".join(capsys.readouterr().err.split())
    assert "FID and CLIP score of SDXL base in MLPerf Inference" in shown
    assert main(["list", "--json"]) == 0
    listed = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)["protocols"]}
    assert listed["scenes"]["comparable"] is None and listed["scenes"]["data"] == "scenes"
    assert listed["imagenet256"]["comparable"]["table"] == "imagenet-256"
    assert listed["sdxl-mlperf"]["comparable"]["bands"]["fid"]["low"] == 23.01085758
