"""Which Python and which code run another checkout."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import trilemma
from trilemma.errors import UserError
from trilemma.runner.launch import own_interpreter
from trilemma.tracking.side import other_side

OURS = Path(trilemma.__file__).resolve().parents[1]


def give_python(root: Path) -> Path:
    python = root / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    return python


def test_another_version_runs_its_own_code(other: Path) -> None:
    side = other_side(other, "renderer")
    assert side.interpreter.sources == (other / "src",) and side.interpreter.python == sys.executable
    assert (side.card, side.package) == (other / "models" / "renderer", other / "src" / "trilemma")


def test_another_version_runs_on_its_own_python(other: Path) -> None:
    python = give_python(other)
    assert other_side(other, "renderer").interpreter.python == str(python)


def test_a_workspace_without_code_of_ours_borrows_it(root: Path) -> None:
    side = other_side(root, "renderer")
    assert side.interpreter == own_interpreter() and side.package is None
    (root / "src").mkdir()  # the code of its models
    assert other_side(root, "renderer").interpreter.sources == (root / "src", OURS)
    give_python(root)  # where the suite is installed
    assert other_side(root, "renderer").interpreter.sources == (root / "src",)


def test_what_cannot_be_timed(root: Path, other: Path, tmp_path: Path) -> None:
    def refused(checkout: Path, model: str) -> str:
        with pytest.raises(UserError) as caught:
            other_side(checkout, model)
        return str(caught.value)

    assert "this is no checkout: it has no models/." in refused(tmp_path / "nothing", "renderer")
    assert 'no model "rendrer". Did you mean "renderer"?' in refused(root, "rendrer")
    (other / "src" / "trilemma" / "runner" / "worker.py").unlink()
    assert "its version does not know timing jobs" in refused(other, "renderer")


def test_a_relative_path_is_of_the_working_folder(other: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert other_side(Path("other"), "renderer") == other_side(other, "renderer")
