"""The verb ``run`` over made-up models, from its arguments to its report."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trilemma.cli import main
from trilemma.cli import run as verb


@pytest.fixture
def faked(_fakes_can_be_imported: None, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command with instruments without networks, and nothing else changed."""
    from drive import FAKES

    real = verb._request
    monkeypatch.setattr(verb, "_request", lambda *a, **k: replace(real(*a, **k), instruments=FAKES))
    monkeypatch.setenv("TRILEMMA_CACHE", str(cache))


def test_run(root: Path, tmp_path: Path, faked: None, capsys: pytest.CaptureFixture[str]) -> None:
    options: list[str] = ["--root", str(root), "--out", str(tmp_path / "runs"), "--csv", str(tmp_path / "t.csv")]
    command = ["run", "small", "--models", "tiny,crashing", "--samples", "40", "--device", "cpu", "--json", *options]
    assert main(command) == 1  # one of them fails
    printed = capsys.readouterr()
    told: dict[str, Any] = json.loads(printed.out)
    assert told["partial"] and told["errors"].keys() == {"crashing"}
    assert Path(told["report"]).is_file() and told["report"] in printed.err.replace("\n", "")
    assert "the network fell over" in printed.err and "quality" in printed.err

    lines = list(csv.DictReader((tmp_path / "t.csv").open()))
    assert [line["model"] for line in lines] == ["tiny", "crashing"]
    value = next(row["value"] for row in told["metrics"] if row["model"] == "tiny" and row["metric"] == "residual")
    assert float(lines[0]["residual"]) == value and lines[1]["residual"] == ""

    # 40 images are too few for some metrics: null, and why.
    few = {row["metric"]: row for row in told["metrics"] if row["model"] == "tiny"}
    assert few["kid"]["value"] is None and few["kid"]["status"] == "skipped"
    assert "needs at least" in few["kid"]["reason"]
    assert few["clip_score"]["n"] == 40

    # The same command again: what was done stays done, what failed is tried again, in the same folder.
    assert main([part for part in command if part != "--json"]) == 1
    assert "Continuing" in capsys.readouterr().err
    assert len(list((tmp_path / "runs").iterdir())) == 1
    assert main(["show", "latest", "--out", str(tmp_path / "runs"), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    again = [row["value"] for row in shown["metrics"] if row["model"] == "tiny"]
    assert again == [row["value"] for row in told["metrics"] if row["model"] == "tiny"]


OWN_PROMPTS = """
name = "own"
version = 1
title = "Prompts of one's own"
data = "mnist"
resolution = 32
batch_size = 16
metrics = []
[[sets]]
name = "prompted"
prompts = "captions"
file = "prompts.txt"
images = 48
"""


def test_a_run_is_not_continued_with_other_prompts(
    root: Path, tmp_path: Path, faked: None, capsys: pytest.CaptureFixture[str]
) -> None:
    home, runs = root / "benchmarks", tmp_path / "runs"
    (home / "own.toml").write_text(OWN_PROMPTS)
    prompts = [f"a shape of kind {number}" for number in range(48)]
    (home / "prompts.txt").write_text("\n".join(prompts))
    command = ["run", "own", "--models", "crashing", "--device", "cpu", "--root", str(root), "--out", str(runs)]
    assert main(command) == 1  # it dies after 40 images; the same command would go on there
    (home / "prompts.txt").write_text("\n".join([*prompts[:-1], "another shape"]))
    assert main(command) == 1
    assert "Continuing" not in capsys.readouterr().err and len(list(runs.iterdir())) == 2
