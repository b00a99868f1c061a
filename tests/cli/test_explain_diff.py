"""``explain-diff`` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from trilemma.cli import main
from trilemma.data import scenes

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> Path:
    """A working folder with two scores of the same images, the second of fewer of them."""
    monkeypatch.setenv("TRILEMMA_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for name, split in (("real", "reference"), ("fake", "heldout")):
        np.save(tmp_path / f"{name}.npy", scenes.images(split, range(64)))
    for name, count in (("a.json", "64"), ("b.json", "48")):
        arguments = ["./real.npy", "./fake.npy", "--preset", "scenes", "--samples", count, "--device", "cpu", "-q"]
        assert main(["score", *arguments, "--json"]) == 0
        (tmp_path / name).write_text(capsys.readouterr().out)
    return tmp_path


def test_fields_alone_without_images(here: Path, capsys: Capture) -> None:
    assert main(["explain-diff", "a.json", "b.json", "--metric", "fd_scenes", "--json"]) == 0
    printed = capsys.readouterr()
    (one,) = json.loads(printed.out)["explanations"]
    assert one["first_field"] == "n" and [each["field"] for each in one["differing"]] == ["n", "fake"]
    assert one["moves"] is None
    assert "Fields that differ" in printed.err and "What each field does" not in printed.err


def test_with_images_each_field_is_weighed(here: Path, capsys: Capture) -> None:
    images = ("--real", "./real.npy", "--fake", "./fake.npy")
    assert main(["explain-diff", "a.json", "b.json", *images, "--device", "cpu", "--json", "-q"]) == 0
    printed = capsys.readouterr()
    explanations = {one["metric"]: one for one in json.loads(printed.out)["explanations"]}
    moved = explanations["fd_scenes"]["moves"]
    (step,) = moved["steps"]
    assert moved["reproduced"] and step["field"] == "n"
    assert step["move"] == pytest.approx(explanations["fd_scenes"]["difference"])
    assert explanations["kid"]["moves"]["steps"][0]["move"] is None  # 48 images are too few for it
    assert "What each field does alone" in printed.err and "needs at least 64 samples; there are 48" in printed.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a.json", "nothing"), 'error: there is no run "nothing"'),
        (("a.json", "real.npy"), "error: real.npy: this file"),
        (("a.json", "b.json", "--metric", "fid"), 'error: the two have no "fid" in common.'),
        (("a.json", "b.json", "--real", "./fake.npy", "--fake", "./fake.npy"), 'error: --real: "./real.npy", '),
        (("a.json", "b.json", "--real", "./nowhere"), "error: nowhere: there is no such file or folder."),
    ],
)
def test_a_users_error_is_one_line_and_exit_code_2(
    here: Path, arguments: tuple[str, ...], message: str, capsys: Capture
) -> None:
    assert main(["explain-diff", *arguments, "--quiet"]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith(message) and printed.err.count("\n") == 1
