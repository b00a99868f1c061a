"""A complete run is what it was, or it is said which file is not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trilemma.errors import UserError
from trilemma.store.digests import digested_files, digests, verify
from trilemma.store.layout import RunFolder
from trilemma.store.run import Run

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN / "run-2", tmp_path / "run"))


def test_the_digests_are_of_all_that_numbers_stand_in(path: Path) -> None:
    assert digests(RunFolder(path=path)) == Run(path).record.files
    assert {name.split("/")[0] for name in digested_files(RunFolder(path=path))} == {
        "metrics.jsonl", "samples", "influence", "timings",
    }  # fmt: skip


def test_reports_and_tables_may_be_written_anew(path: Path) -> None:
    for name in ("report.html", "report.md", "report.json", "table.csv", "events.jsonl"):
        (path / name).write_text("new")
    (path / "figures").mkdir()
    (path / "figures" / "speed.svg").write_text("<svg/>")
    verify(Run(path))
    assert digests(RunFolder(path=path)) == Run(path).record.files


def test_pictures_may_go_but_not_change(path: Path) -> None:
    sheet = path / "images" / "gan" / "sheets" / "prompted-000.png"
    sheet.parent.mkdir(parents=True)
    sheet.write_bytes(b"a picture")
    with pytest.raises(UserError, match="added after"):
        verify(Run(path))
    record = Run(path).record
    record.files = digests(RunFolder(path=path))
    record.write(path / "run.json")
    verify(Run(path))
    sheet.write_bytes(b"another")
    with pytest.raises(UserError, match="has changed") as raised:
        verify(Run(path))
    assert raised.value.where == str(sheet)
    sheet.unlink()
    verify(Run(path))


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def append(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b" ")


@pytest.mark.parametrize("name", sorted(Run(GOLDEN / "run-2").record.files))
@pytest.mark.parametrize(
    ("damage", "message"), [(cut, "has changed"), (append, "has changed"), (Path.unlink, "missing")]
)
def test_a_changed_or_missing_file_is_named(
    path: Path, name: str, damage: Callable[[Path], None], message: str
) -> None:
    damage(path / name)
    with pytest.raises(UserError, match=message) as raised:
        verify(Run(path))
    assert raised.value.where == str(path / name)


def test_an_added_file_is_named(path: Path) -> None:
    shutil.copy(path / "samples" / "linear.parquet", path / "samples" / "other.parquet")
    with pytest.raises(UserError, match="added after") as raised:
        verify(Run(path))
    assert raised.value.where == str(path / "samples" / "other.parquet")


@pytest.mark.parametrize(
    ("files", "message"),
    [({}, "lacks the digests"), ({"metrics.jsonl": "0", "../run.json": "0"}, "changed|no file of its own")],
)
def test_a_record_that_lies_about_its_files_is_damaged(path: Path, files: dict[str, Any], message: str) -> None:
    stored = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps(stored | {"files": files}))
    with pytest.raises(UserError, match=message):
        verify(Run(path))


@pytest.mark.parametrize("name", ["/etc/hostname", "samples/../../other"])
def test_a_digest_is_of_nothing_outside_the_folder(path: Path, name: str) -> None:
    stored = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps(stored | {"files": stored["files"] | {name: "0"}}))
    with pytest.raises(UserError, match="no file of its own"):
        verify(Run(path))


@pytest.mark.parametrize(
    "name", ["metrics.jsonl", "samples/tiny.parquet", "timings/tiny.parquet", "influence/tiny.npz"]
)
def test_what_has_no_digests_must_be_readable(tmp_path: Path, name: str) -> None:
    path = shutil.copytree(GOLDEN / "run-1", tmp_path / "run")
    verify(Run(path))
    cut(path / name)
    if name == "metrics.jsonl":
        cut(path / name)  # without the end of its last line it would still be whole
    with pytest.raises(UserError, match="damaged"):
        verify(Run(path))
