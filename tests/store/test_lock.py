"""One process per run."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from trilemma.errors import UserError
from trilemma.store.lock import is_locked, locked


def owner(path: Path, **changes: object) -> None:
    mine = {"pid": os.getpid(), "born": psutil.Process().create_time(), "host": socket.gethostname()}
    path.write_text(json.dumps(mine | changes))


def test_a_lock_is_held_and_given_back(tmp_path: Path) -> None:
    path = tmp_path / "run" / "lock"
    with locked(path):
        assert is_locked(path)
        with pytest.raises(UserError, match=f"process {os.getpid()}"), locked(path):
            pass
        assert is_locked(path)
    assert not path.exists()


def test_it_is_given_back_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), locked(tmp_path / "lock"):
        raise KeyError
    assert not (tmp_path / "lock").exists()


def test_a_dead_owners_lock_is_void(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    owner(tmp_path / "lock", pid=dead.pid)
    with locked(tmp_path / "lock"):
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()


def test_a_number_that_was_given_to_another_process_is_void(tmp_path: Path) -> None:
    owner(tmp_path / "lock", born=psutil.Process().create_time() - 3600)
    assert not is_locked(tmp_path / "lock")


def test_of_another_machine_we_cannot_know(tmp_path: Path) -> None:
    owner(tmp_path / "lock", host="elsewhere", pid=1)
    with pytest.raises(UserError, match="elsewhere"), locked(tmp_path / "lock"):
        pass


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_lock_that_was_cut_short_is_void(tmp_path: Path, text: str) -> None:
    (tmp_path / "lock").write_text(text)
    assert not is_locked(tmp_path / "lock")
