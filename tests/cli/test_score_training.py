"""``score --training`` as a user types it: the copy test's table, documents, and what it refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trilemma.cli import main
from trilemma.data import scenes
from trilemma.features.presets import INCEPTION
from trilemma.features.weights import VARIABLE

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with held-out and training images, and generated ones of which a sixth are copies."""
    monkeypatch.setenv("TRILEMMA_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    training = scenes.images("train", range(300))
    np.save("real.npy", scenes.images("heldout", range(150)))
    np.save("train.npy", training)
    (tmp_path / "fake").mkdir()
    for number, image in enumerate(np.concatenate([training[:10], scenes.images("floor", range(50))])):
        Image.fromarray(image).save(tmp_path / "fake" / f"{number:02d}.png")
    return tmp_path


def run(*arguments: str, real: str = "./real.npy") -> int:
    return main(["score", real, "./fake", *arguments, "--device", "cpu"])


def copy_rate(text: str) -> dict[str, Any]:
    (row,) = (one for one in json.loads(text)["numbers"] if one["metric"] == "copy_rate")
    assert isinstance(row, dict)
    return row


def test_copies_are_told_in_the_table_and_in_the_document(capsys: Capture) -> None:
    assert run("--training", "./train.npy", "--preset", "scenes", "--json") == 0
    printed = capsys.readouterr()
    found = copy_rate(printed.out)
    assert found["value"] == pytest.approx(1 / 6, abs=0.05) and found["details"]["beyond_chance"] is True
    assert found["details"]["p_value"] < 0.001 < found["details"]["threshold"]
    assert (found["preset"], found["n"], found["n_reference"], found["direction"]) == ("pixels", 60, 300, "lower")
    document = json.loads(printed.out)
    assert document["training"]["name"] == "./train.npy"
    assert document["training"]["digest"] == found["identity"]["training"]
    shown = " ".join(printed.err.split())
    assert "./fake against ./train.npy, ./real.npy held out" in shown and "of training" in shown
    assert "beyond chance" in shown and "fd_scenes" in shown and "300/300" in shown


def test_the_copy_test_alone_needs_no_weights(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    for name in (VARIABLE, "TORCH_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(here / "nowhere"))
    training = ("--training", "./train.npy", "-q")
    assert run(*training, "--preset", "fid") == 2
    assert INCEPTION.name in capsys.readouterr().err
    assert run(*training, "--preset", "pixels", "--json", "--csv", "table.csv") == 0
    found = copy_rate(capsys.readouterr().out)
    with Path("table.csv").open(newline="") as file:
        (line,) = csv.DictReader(file)
    assert (line["preset"], line["metric"], float(line["value"])) == ("pixels", "copy_rate", found["value"])
    assert (float(line["low"]), line["n_reference"], line["reason"]) == (found["ci"][0], "300", found["reason"])


def test_without_training_images_nothing_is_said_of_copies(capsys: Capture) -> None:
    assert run("--preset", "scenes", "--json", "-q") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["training"] is None and {one["preset"] for one in document["numbers"]} == {"scenes"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--preset", "pixels"), 'error: --preset: the preset "pixels" tests for copies of training images'),
        (("--training", "./nothing"), "error: nothing: there is no such file or folder."),
        (("--training", "scenes:trian"), 'error: scenes:trian: Scenes have no split "trian". Did you mean "train"?'),
        (("--training", "./real.npy"), "error: no number could be had. copy_rate: REAL is not held out from TRAINING:"),
        (("--training", "./few.npz"), "error: ./few.npz: these are reference statistics; the copy test needs training"),
        (("--training", "./large.npy"), "error: the images differ in size: 32 x 32 in real.npy"),
        (("--training", "./train.npy", "--reference", "99"), "at least 100 held-out images; there are 99"),
    ],
)
def test_what_cannot_be_tested_is_one_line_and_exit_code_2(
    arguments: tuple[str, ...], message: str, capsys: Capture
) -> None:
    np.savez("few.npz", mu=np.zeros(128), sigma=np.eye(128))
    np.save("large.npy", scenes.images("train", range(3), 40))
    assert run("--preset", "pixels", *arguments, "-q", "--json") == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1 and message in printed.err, printed.err


def test_copy_rates_of_other_training_images_are_told_apart(capsys: Capture) -> None:
    np.save("other.npy", scenes.images("train", range(299)))
    for name, training in (("a.json", "train.npy"), ("b.json", "other.npy")):
        assert run("--training", f"./{training}", "--preset", "scenes", "--json", "-q") == 0
        Path(name).write_text(capsys.readouterr().out)
    assert main(["explain-diff", "a.json", "b.json", "--metric", "copy_rate", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["explanations"]
    assert one["first_field"] == "n_reference" and not one["comparable"]
    assert [each["field"] for each in one["differing"]] == ["n_reference", "training"]
    images = ("--real", "./real.npy", "--fake", "./fake")
    assert main(["explain-diff", "a.json", "b.json", *images, "--device", "cpu", "--json", "-q"]) == 0
    moves = {one["metric"]: one["moves"] for one in json.loads(capsys.readouterr().out)["explanations"]}
    assert moves["copy_rate"] is None
