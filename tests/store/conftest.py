"""Folders of runs, made quickly."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

GOLDEN = Path(__file__).parent / "golden"


def write_run(runs: Path, name: str, value: float = 1.0, **changes: Any) -> Path:
    """Writes a record and the numbers of one model; nothing waits for the disk."""
    record: dict[str, Any] = {
        "schema": "trilemma.run/2", "run_id": name, "identity": "i", "created": "2027-01-01T00:00:00.000+00:00",
        "ended": "2027-01-01T00:01:30.500+00:00", "status": "complete",
        "spec": {"protocol": {"name": "scenes", "version": 1}, "seed": 0, "samples": None},
        "models": {"gan": {}, "ldm": {}}, "counts": {"gan": {"planned": 4, "done": 4, "failed": 0}},
        "tool": {"git": "abc", "dirty": False, "version": "0.1.0"},
    }  # fmt: skip
    common = {"run_id": name, "model": "gan", "params": {"k": 5}, "status": "ok", "unit": ""}
    rows = [
        common | {"metric": "kid", "value": value, "se": 0.1, "ci": [value - 0.2, value + 0.2], "reason": None},
        common | {"metric": "fid", "value": None, "status": "skipped", "reason": "no\u2028weights", "ci": None},
    ]
    folder = runs / name
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(record | changes))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return folder


@pytest.fixture
def make_run() -> Callable[..., Path]:
    """Writes a run into a folder of runs."""
    return write_run


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Three runs, the last of which failed."""
    folder = tmp_path / "results" / "runs"
    write_run(folder, "20270101-000000-a", 1.0)
    write_run(folder, "20270102-000000-b", 2.0, partial=True)
    failed = {"type": "E", "message": "lost"}
    write_run(folder, "20270103-000000-c", 3.0, status="failed", errors={"ldm": failed}, models={"ldm": {}})
    return folder


@pytest.fixture
def golden_runs(tmp_path: Path) -> Path:
    """The golden run of every schema in one folder."""
    return Path(shutil.copytree(GOLDEN, tmp_path / "golden"))


@pytest.fixture(scope="session")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A thousand runs; not to be changed."""
    folder = tmp_path_factory.mktemp("thousand") / "runs"
    for number in range(1000):
        write_run(folder, f"20270101-{number:06d}-x", float(number))
    return folder
