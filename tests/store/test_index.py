"""The list of runs: true whatever has happened to the index, and quick because it is kept."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trilemma.store import index
from trilemma.store.index import list_runs
from trilemma.store.record import read_record
from trilemma.store.tables import RUNS

FILE = ".index/runs-1.jsonl"


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs whose record is read, as it happens."""
    names: list[str] = []

    def read(path: Path) -> Any:
        names.append(path.parent.name)
        return read_record(path)

    monkeypatch.setattr(index, "read_record", read)
    return names


def test_a_row_says_what_there_is_to_say_of_a_run(runs: Path) -> None:
    first, second, third = list_runs(runs).rows
    assert list(first) == list(RUNS)
    wanted = {
        "run_id": "20270101-000000-a", "seconds": 90.5, "status": "complete", "error": None, "partial": False,
        "protocol": "scenes", "protocol_version": 1, "models": ["gan", "ldm"], "images_done": 4, "git": "abc",
    }  # fmt: skip
    assert {name: first[name] for name in wanted} == wanted
    assert second["partial"] is True
    assert (third["status"], third["error"], third["failed_models"]) == ("failed", "E: lost", ["ldm"])


def test_the_records_of_every_schema_are_listed(golden_runs: Path) -> None:
    old, new = list_runs(golden_runs).rows
    assert (old["run_id"], old["schema"], old["parent_run_id"]) == ("run-1", "trilemma.run/1", None)
    assert (new["schema"], new["device"], new["torch"], new["gpu"]) == ("trilemma.run/2", "cpu", "2.14.1", None)
    assert old["hardware"] == new["hardware"]


def test_only_what_is_new_or_has_changed_is_read(runs: Path, reads: list[str], make_run: Callable[..., Path]) -> None:
    before = list_runs(runs)
    assert len(reads) == 3
    assert list_runs(runs) == before and len(reads) == 3
    make_run(runs, "20270104-000000-d")
    record = runs / "20270101-000000-a" / "run.json"
    record.write_text(record.read_text().replace('"complete"', '"cancelled"'))
    shutil.rmtree(runs / "20270102-000000-b")
    del reads[:]
    after = list_runs(runs)
    assert sorted(reads) == ["20270101-000000-a", "20270104-000000-d"]
    assert [row["status"] for row in after.rows] == ["cancelled", "failed", "complete"]
    del reads[:]
    assert list_runs(runs) == after and reads == []


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]\n", b"\xff\n", b'{"run_id": "20270101-000000-a"}\n', b"null\n", b"\n\n"],
)
def test_a_damaged_index_is_made_anew(runs: Path, reads: list[str], content: bytes) -> None:
    before = list_runs(runs)
    whole = (runs / FILE).read_bytes()
    (runs / FILE).write_bytes(content)
    del reads[:]
    assert list_runs(runs) == before and len(reads) == 3
    assert (runs / FILE).read_bytes() == whole


def test_an_index_that_is_cut_anywhere_tells_no_lies(runs: Path) -> None:
    before = list_runs(runs)
    whole = (runs / FILE).read_bytes()
    for end in range(0, len(whole), 37):
        (runs / FILE).write_bytes(whole[:end])
        assert list_runs(runs) == before


def test_a_damaged_record_is_named_and_left_as_it_is(runs: Path) -> None:
    record = runs / "20270102-000000-b" / "run.json"
    for text in ("{", '{"schema": "trilemma.run/9"}'):
        record.write_text(text)
        for _ in range(2):  # with and without an index
            listing = list_runs(runs)
            assert [row["run_id"] for row in listing.rows] == ["20270101-000000-a", "20270103-000000-c"]
            assert listing.damaged.keys() == {"20270102-000000-b"}
            assert listing.damaged["20270102-000000-b"].where == str(record)
        assert record.read_text() == text


def test_what_is_no_run_is_not_listed(runs: Path) -> None:
    (runs / "notes.txt").write_text("")
    (runs / "empty").mkdir()
    assert len(list_runs(runs).rows) == 3
    assert list_runs(runs / "nothing").rows == []


def test_free_fields_of_any_shape_are_no_error(runs: Path) -> None:
    record = runs / "20270101-000000-a" / "run.json"
    stored = json.loads(record.read_text())
    odd = {"spec": {"protocol": "scenes"}, "env": {"packages": None}, "host": {"gpus": ["H"]}, "ended": "soon"}
    record.write_text(json.dumps(stored | odd))
    row = list_runs(runs).rows[0]
    assert (row["protocol"], row["torch"], row["gpu"], row["seconds"]) == (None, None, None, None)


def test_a_folder_that_cannot_be_written_to_is_listed(runs: Path) -> None:
    (runs / ".index").write_text("in the way")
    assert len(list_runs(runs).rows) == 3


def test_a_thousand_runs(thousand: Path, reads: list[str]) -> None:
    assert len(list_runs(thousand).rows) == 1000
    del reads[:]
    assert len(list_runs(thousand).rows) == 1000 and reads == []


def test_listing_imports_nothing_heavy(runs: Path) -> None:
    code = "import sys; from trilemma.cli import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", code, "runs", "--out", str(runs)]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stderr.split()
    assert not {"numpy", "pandas", "pyarrow", "duckdb", "torch"} & set(loaded)


def test_commands_at_the_same_time_do_not_disturb_one_another(runs: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from trilemma.store.database import Database\n"
        "for _ in range(5):\n"
        "    sql = 'SELECT count(*) FROM metrics JOIN runs USING (run_id)'\n"
        "    assert Database(Path(sys.argv[1]), sql).select().rows == [(6,)]"
    )
    command = [sys.executable, "-c", code, str(runs)]
    together = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ)) for _ in range(4)]
    for process in together:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    assert sorted(path.name for path in (runs / ".index").iterdir()) == ["metrics-1.parquet", "runs-1.jsonl"]
