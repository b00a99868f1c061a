"""One process per run: a lock file that names its owner, and is void once that process is dead."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from trilemma.errors import UserError


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the lock at ``path`` while the block runs.

    Raises:
        UserError: a living process holds it, or one on another machine, of which we cannot know.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _take(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def is_locked(path: Path) -> bool:
    """Whether a living process, or one on another machine, holds the lock."""
    owner = _owner(path)
    return owner is not None and (owner["host"] != socket.gethostname() or _alive(owner))


def _take(path: Path) -> None:
    if is_locked(path):
        owner = _owner(path) or {}
        where = f"process {owner.get('pid')} on {owner.get('host')}"
        raise UserError(f"another process is at work on this run: {where}.", where=str(path))
    path.unlink(missing_ok=True)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        raise UserError("another process has just started on this run.", where=str(path)) from None
    with os.fdopen(descriptor, "w") as file:
        json.dump({"pid": os.getpid(), "born": psutil.Process().create_time(), "host": socket.gethostname()}, file)


def _owner(path: Path) -> dict[str, Any] | None:
    try:
        owner: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return owner if owner.keys() >= {"pid", "born", "host"} else None
    except (FileNotFoundError, ValueError, AttributeError):
        return None  # none, or killed while it was being written


def _alive(owner: dict[str, Any]) -> bool:
    """Whether that very process lives: in a container numbers are soon given to another."""
    try:
        born: float = psutil.Process(owner["pid"]).create_time()
        return abs(born - float(owner["born"])) < 1.0
    except psutil.NoSuchProcess:
        return False
