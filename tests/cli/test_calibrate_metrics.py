"""``calibrate-metrics`` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trilemma.cli import main
from trilemma.scoring import calibration_expected

Capture = pytest.CaptureFixture[str]
SMALL = ("--samples", "128", "--levels", "1", "--distortions", "grain,memorised", "--device", "cpu")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRILEMMA_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_instruments_of_scenes_see_plain_damage(here: Path, capsys: Capture) -> None:
    assert main(["calibrate-metrics", *SMALL, "--quiet", "--json", "--out", "out"]) == 0
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    verdicts = {(cell["distortion"], cell["metric"]): cell["verdict"] for cell in document["cells"]}
    assert document["schema"] == "trilemma.calibration/1"
    assert all(verdicts["grain", metric] == "saw" for metric in ("fd_scenes", "precision", "recall", "coverage"))
    assert verdicts["memorised", "copy_rate"] == "saw" and verdicts["memorised", "fd_scenes"] != "saw"
    assert "What the metrics see" in printed.err and "saw" in printed.err
    assert "fd_scenes_infinity (grain, memorised): needs at least 512 samples" in printed.err
    assert json.loads((here / "out" / "calibration.json").read_text())["cells"] == document["cells"]
    assert (here / "out" / "calibration.md").read_text().startswith("# What the metrics see")
    assert (here / "out" / "calibration.png").read_bytes().startswith(b"\x89PNG")


def test_a_failure_that_nobody_documented_is_exit_code_1(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(calibration_expected, "EXPECTED", ())
    assert main(["calibrate-metrics", *SMALL]) == 1
    printed = capsys.readouterr()
    assert printed.out == "" and "Unexpected failures:" in printed.err and "fd_scenes (memorised): " in printed.err
    assert "128/128" in printed.err  # the bars


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--distortions", "blurr"), 'error: --distortions: there is no distortion "blurr". Did you mean "blur"?'),
        (("--preset", "scens"), 'error: there is no preset "scens". Did you mean "scenes"?'),
        (("--preset", "clip-score"), "error: "),
        (("--samples", "0"), "error: --samples: must be at least 1"),
        (("--levels", "0"), "error: --levels: at least one level is needed"),
        (("nowhere",), "error: nowhere: there is no such file or folder."),
        (("--run", "20270101"), 'error: there is no run "20270101"'),
        (("--device", "gpu"), 'error: --device: there is no device "gpu"'),
    ],
)
def test_a_users_error_is_one_line_and_exit_code_2(arguments: tuple[str, ...], message: str, capsys: Capture) -> None:
    assert main(["calibrate-metrics", *arguments, "--quiet"]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith(message) and printed.err.count("\n") == 1
