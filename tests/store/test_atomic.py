"""Writes that are whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from trilemma.errors import UserError
from trilemma.store import atomic
from trilemma.store.arrays import read_arrays


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / "f.txt"
    atomic.write_text(path, "old")

    def fail(source: str, target: str) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        atomic.write_text(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(path.parent) == ["f.txt"]


def test_what_a_killed_write_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / ".run.json.ab12cd34.tmp").touch()
    (tmp_path / "deep" / "run.json").touch()
    atomic.remove_unfinished(tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == ["deep", "run.json"]


def test_what_somebody_may_still_be_writing_is_left(tmp_path: Path) -> None:
    new, old = tmp_path / ".a.npz.ab12cd34.tmp", tmp_path / ".a.npz.ef56ab78.tmp"
    new.touch()
    old.touch()
    os.utime(old, (0, 0))
    atomic.remove_unfinished(tmp_path, older_than=3600)
    assert list(tmp_path.iterdir()) == [new]


def test_json_has_no_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        atomic.write_json(tmp_path / "f.json", {"a": float("nan")})
    with pytest.raises(ValueError, match="JSON"):
        atomic.write_json_lines(tmp_path / "f.jsonl", [{"a": float("inf")}])
    assert os.listdir(tmp_path) == []


def test_arrays_come_back_and_objects_are_refused(tmp_path: Path) -> None:
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros((2, 0), np.uint8)}
    atomic.write_arrays(tmp_path / "f.npz", arrays)
    back = read_arrays(tmp_path / "f.npz")
    assert back.keys() == arrays.keys()
    assert all(np.array_equal(back[name], arrays[name]) and back[name].dtype == arrays[name].dtype for name in arrays)
    with pytest.raises(ValueError, match="[Oo]bject"):
        atomic.write_arrays(tmp_path / "g.npz", {"a": np.array([{}])})


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04rubbish"])
def test_damaged_arrays_are_a_users_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "f.npz").write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        read_arrays(tmp_path / "f.npz")
    with pytest.raises(UserError, match="missing"):
        read_arrays(tmp_path / "g.npz")


def test_others_may_read_what_was_written(tmp_path: Path) -> None:
    atomic.write_text(tmp_path / "f", "x")
    assert (tmp_path / "f").stat().st_mode & 0o444 == 0o444
