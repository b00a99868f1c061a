"""Parts of a model's images, and what becomes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trilemma.errors import UserError
from trilemma.store.layout import RunFolder
from trilemma.store.parts import consolidate, is_done, part_path, remove_parts, write_part
from trilemma.store.tables import SAMPLES, TIMINGS, read_frame, write_rows


def put(folder: RunFolder, number: int, count: int = 2) -> None:
    rows = [{"model": "m", "set": "s", "key": f"{number}-{i}", "index": i, "status": "ok"} for i in range(count)]
    write_part(folder, "m", "s", number, rows, {"features": np.full((count, 3), number, np.float32)})


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(path=tmp_path)


def test_parts_are_joined_in_the_order_of_the_plan(folder: RunFolder) -> None:
    for number in (2, 0, 1):
        put(folder, number)
        assert is_done(folder, "m", "s", number)
    assert not is_done(folder, "m", "s", 3)
    consolidate(folder, "m", [("s", number) for number in range(3)])
    frame = pd.read_parquet(folder.samples("m"))
    assert frame["key"].tolist() == ["0-0", "0-1", "1-0", "1-1", "2-0", "2-1"]
    assert list(frame.columns) == list(SAMPLES)
    assert frame["residual"].isna().all()
    assert np.load(folder.features("m"))["features"][:, 0].tolist() == [0, 0, 1, 1, 2, 2]
    assert is_done(folder, "m", "s", 0)


def test_parts_of_others_stay(folder: RunFolder) -> None:
    put(folder, 0)
    other = folder.parts("other") / "s-00000.parquet"
    other.parent.mkdir()
    other.touch()
    remove_parts(folder, "m")
    assert not folder.parts("m").exists() and other.is_file()
    other.unlink()
    for _ in range(2):  # there may be nothing left to remove
        remove_parts(folder, "other")
        assert not folder.parts("other").parent.exists()


def test_a_missing_or_damaged_part_is_loud_and_nothing_is_removed(folder: RunFolder) -> None:
    put(folder, 0)
    with pytest.raises(UserError, match="missing"):
        consolidate(folder, "m", [("s", 0), ("s", 1)])
    put(folder, 1)
    part_path(folder, "m", "s", 1).write_bytes(b"PAR1")
    with pytest.raises(UserError, match="damaged"):
        consolidate(folder, "m", [("s", 0), ("s", 1)])
    assert is_done(folder, "m", "s", 0)


def test_rows_and_arrays_must_agree(folder: RunFolder) -> None:
    with pytest.raises(ValueError, match="needs 1 rows"):
        write_part(folder, "m", "s", 0, [{"model": "m"}], {"features": np.zeros((2, 3))})
    assert not is_done(folder, "m", "s", 0)


def test_a_column_that_is_not_declared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="walltime"):
        write_rows(tmp_path / "t.parquet", TIMINGS, [{"model": "m", "walltime": 3}])


def test_an_empty_table_keeps_its_columns(tmp_path: Path) -> None:
    write_rows(tmp_path / "t.parquet", TIMINGS, [])
    assert list(read_frame(tmp_path / "t.parquet", TIMINGS).columns) == list(TIMINGS)


def test_columns_of_later_versions_are_null_in_older_files(tmp_path: Path) -> None:
    write_rows(tmp_path / "t.parquet", {"model": "string", "call": "int64"}, [{"model": "m", "call": 3}])
    frame = read_frame(tmp_path / "t.parquet", TIMINGS)
    assert list(frame.columns) == list(TIMINGS) and frame["call"].tolist() == [3] and frame["wall_ns"].isna().all()


def test_a_column_of_another_type_is_damage(tmp_path: Path) -> None:
    write_rows(tmp_path / "t.parquet", {"call": "string"}, [{"call": "third"}])
    with pytest.raises(UserError, match="damaged"):
        read_frame(tmp_path / "t.parquet", TIMINGS)
