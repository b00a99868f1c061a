"""Parquet files in the layout of the hub, read without its package: splits, columns, row groups, and what is wrong."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from trilemma.data import limits, parquet_images
from trilemma.data.classes import class_names
from trilemma.data.datasets import open_data_set, open_located
from trilemma.data.sources import open_source
from trilemma.errors import UserError

CLASSES = ["cat", "dog", "big fish"]
FEATURES = {
    "img": {"_type": "Image"},
    "coarse": {"_type": "ClassLabel", "names": ["animal"]},
    "fine": {"_type": "ClassLabel", "names": CLASSES},
    "text": {"dtype": "string", "_type": "Value"},
}


def picture(value: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (6, 4), (value, 0, 9)).save(file, "PNG")
    return file.getvalue()


def table(numbers: Sequence[int], *, told: bool = True, captions: bool = False) -> pa.Table:
    """Picture i is of the colour 10 i, of the fine class i % 3, and of the coarse class 0."""
    columns: dict[str, Any] = {
        "img": pa.array([{"bytes": picture(10 * i), "path": f"{i}.png"} for i in numbers]),
        "coarse": pa.array([0] * len(numbers), pa.int64()),
        "fine": pa.array([i % 3 for i in numbers], pa.int64()),
    }
    if captions:
        columns["text"] = pa.array([f" picture {i}\n" for i in numbers])
    features = {name: FEATURES[name] for name in columns}
    meta = {"huggingface": json.dumps({"info": {"features": features}})}
    return pa.table(columns).replace_schema_metadata(meta if told else None)


def write(path: Path, numbers: Sequence[int], rows: int = 3, **how: bool) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table(numbers, **how), path, row_group_size=rows)
    return path


def write_split(folder: Path, split: str = "train", files: int = 3, each: int = 5, **how: bool) -> list[Path]:
    starts = range(0, files * each, each)
    return [
        write(folder / f"{split}-{number:05d}-of-{files:05d}.parquet", range(start, start + each), **how)
        for number, start in enumerate(starts)
    ]


def test_a_folder_of_parquet_is_a_data_set(tmp_path: Path) -> None:
    write_split(tmp_path / "data")
    write_split(tmp_path / "data", "test", 1, 4)
    data = open_data_set(f"hf:{tmp_path}?label=fine")
    assert (data.count("train"), data.count("test")) == (15, 4) and class_names(data) == tuple(CLASSES)
    rows = list(range(15))
    images, labels = data.images("train", rows, 4), data.labels("train", rows).tolist()
    numbers = [value // 10 for value in images[:, 0, 0, 0].tolist()]
    assert sorted(numbers) == rows != numbers
    assert labels == [number % 3 for number in numbers]
    assert data.prompts("train", rows) == [CLASSES[label] for label in labels]
    assert data.images("train", [7, 2], 4).tolist() == images[[7, 2]].tolist()


def test_the_first_column_of_a_kind_is_taken(tmp_path: Path) -> None:
    write_split(tmp_path)
    data = open_data_set(f"hf:{tmp_path}")
    assert class_names(data) == ("animal",) and data.labels("train", range(15)).tolist() == [0] * 15


def test_captions_come_before_names_of_classes(tmp_path: Path) -> None:
    write_split(tmp_path, captions=True)
    data = open_data_set(f"hf:{tmp_path}")
    numbers = (data.images("train", range(15), 4)[:, 0, 0, 0] // 10).tolist()
    assert data.prompts("train", range(15)) == [f"picture {number}" for number in numbers]
    assert open_located(f"hf:{tmp_path}").source().captions(np.array([14, 0, 7])) == [
        "picture 14", "picture 0", "picture 7",
    ]  # fmt: skip


def test_columns_without_metadata_are_told_by_their_kind(tmp_path: Path) -> None:
    plain = table(range(4), told=False).rename_columns(["x", "label", "fine"])
    listed = pa.array([["one", "two"], ["", "three"], ["four"], ["five"]])
    pq.write_table(plain.append_column("several", listed), tmp_path / "train.parquet")
    data = open_data_set(f"hf:{tmp_path}?caption=several")
    numbers = (data.images("train", range(4), 4)[:, 0, 0, 0] // 10).tolist()
    captions = dict(zip(numbers, data.prompts("train", range(4)), strict=True))
    assert captions == {0: "one", 1: "three", 2: "four", 3: "five"}
    assert open_located(f"hf:{tmp_path}?label=fine").source().labels().tolist() == [0, 1, 2, 0]
    with pytest.raises(UserError, match="has no classes"):
        class_names(data)


def test_bytes_may_stand_alone(tmp_path: Path) -> None:
    pq.write_table(pa.table({"jpeg.bytes": [picture(3), picture(4)]}), tmp_path / "train.parquet")
    assert [image[0, 0, 0] for image in open_located(f"hf:{tmp_path}").source().images()] == [3, 4]


def test_as_a_source_the_pictures_are_those_of_a_folder(tmp_path: Path) -> None:
    write_split(tmp_path / "parquet")
    (tmp_path / "folder").mkdir()
    for number in range(15):
        (tmp_path / "folder" / f"{number:03d}.png").write_bytes(picture(10 * number))
    source, folder = open_located(f"hf:{tmp_path}/parquet").source(), open_source(tmp_path / "folder")
    assert source.digest() == folder.digest() and source.size() == (4, 6)
    assert source.keys()[-1] == "00000014" and source.keys() == sorted(source.keys())
    assert all(np.array_equal(*pair) for pair in zip(source.images(4, 13), folder.images(4, 13), strict=True))
    first = open_located(f"hf:{tmp_path}/parquet?first=7").source()
    assert (len(first), len(list(first.images())), len(first.labels())) == (7, 7, 7)


def test_row_groups_are_read_once_and_few_are_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_split(tmp_path, files=2, each=12)
    read: list[int] = []
    original = parquet_images.read_column
    monkeypatch.setattr(
        parquet_images, "read_column", lambda group, column: read.append(group.start) or original(group, column)
    )
    source = open_located(f"hf:{tmp_path}").source()
    monkeypatch.setattr(parquet_images, "HELD_BYTES", 1)
    assert len(list(source.images())) == 24
    assert sorted(set(read)) == list(range(0, 24, 3)) and len(read) <= 8 + 8
    assert len(source._held) == 1


def test_configurations_are_told_apart(tmp_path: Path) -> None:
    write(tmp_path / "small" / "train-00000-of-00001.parquet", range(2))
    write(tmp_path / "large" / "train" / "0000.parquet", range(3))
    write(tmp_path / "large" / "train" / "0001.parquet", range(3, 6))
    write(tmp_path / ".hidden" / "train.parquet", range(9))
    assert open_data_set(f"hf:{tmp_path}?config=small").count("train") == 2
    assert open_data_set(f"hf:{tmp_path}?config=large").count("train") == 6
    with pytest.raises(UserError, match="several configurations here: large, small"):
        open_data_set(f"hf:{tmp_path}").count("train")
    with pytest.raises(UserError, match='no configuration "larg". Did you mean "large"'):
        open_data_set(f"hf:{tmp_path}?config=larg").count("train")


def test_a_file_that_is_missing_is_noticed(tmp_path: Path) -> None:
    write_split(tmp_path)[1].unlink()
    with pytest.raises(UserError, match="there are 2 files of this split, not 3"):
        open_data_set(f"hf:{tmp_path}").count("train")


def test_another_picture_is_another_version(tmp_path: Path) -> None:
    paths = write_split(tmp_path)
    before = open_data_set(f"hf:{tmp_path}").version
    assert before == open_data_set(f"hf:{tmp_path}").version
    write(paths[2], [20, 21, 22, 23, 24])
    assert open_data_set(f"hf:{tmp_path}").version != before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("image=imgg", 'no column "imgg". Did you mean "img"'),
        ("image=fine", 'the column "fine" holds int64, no images'),
        ("label=img", "no labels"),
        ("caption=fine", "no captions"),
        ("first=0", '"first" is a number'),
        ("split=vall", 'no split "vall"'),
        ("colour=red", 'there is no option "colour"'),
        ("label=", "says nothing"),
        ("label", "must look like a=b"),
        ("split=a&split=b", "given twice"),
        ("split=../x", "cannot be the name of a split"),
    ],
)
def test_options_that_do_not_fit(options: str, said: str, tmp_path: Path) -> None:
    write_split(tmp_path)
    with pytest.raises(UserError, match=said):
        open_located(f"hf:{tmp_path}?{options}").source()


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no Parquet files here"):
        open_data_set(f"hf:{tmp_path}").count("train")
    with pytest.raises(UserError, match="are missing. Looked in"):
        open_data_set(f"hf:{tmp_path}/nowhere").count("train")
    pq.write_table(pa.table({"a": [1], "b": ["x"]}), tmp_path / "train.parquet")
    with pytest.raises(UserError, match="there are no images here, but a, b"):
        open_data_set(f"hf:{tmp_path}").count("train")
    pq.write_table(table([]), tmp_path / "train.parquet")
    with pytest.raises(UserError, match="there are no images here"):
        open_data_set(f"hf:{tmp_path}").count("train")


def test_damage_names_file_and_row(tmp_path: Path) -> None:
    paths = write_split(tmp_path, files=2)
    bad = table(range(5)).set_column(0, "img", pa.array([{"bytes": b"junk", "path": "x"}] * 5))
    pq.write_table(bad.replace_schema_metadata(table(range(5)).schema.metadata), paths[1], row_group_size=2)
    source = open_located(f"hf:{tmp_path}").source()
    assert len(list(source.images(0, 5))) == 5
    with pytest.raises(UserError, match="no PNG, JPEG, WebP or BMP") as caught:
        list(source.images(5, 9))
    assert caught.value.where == f"{paths[1]}, row 1"
    with pytest.raises(UserError) as caught:
        list(source.images(8))
    assert caught.value.where == f"{paths[1]}, row 4"
    paths[1].write_bytes(paths[1].read_bytes()[:-9])
    with pytest.raises(UserError, match="Parquet file cannot be read") as caught:
        open_located(f"hf:{tmp_path}").source()
    assert caught.value.where == str(paths[1])


def test_a_path_without_bytes_is_refused(tmp_path: Path) -> None:
    rows = pa.array([{"bytes": None, "path": "a.png"}], pa.struct([("bytes", pa.binary()), ("path", pa.string())]))
    pq.write_table(pa.table({"image": rows}), tmp_path / "train.parquet")
    with pytest.raises(UserError, match="no bytes of an image"):
        open_located(f"hf:{tmp_path}").source().digest()


def test_files_of_one_split_have_the_same_columns(tmp_path: Path) -> None:
    paths = write_split(tmp_path)
    write(paths[1], range(5), captions=True)
    with pytest.raises(UserError, match="other columns") as caught:
        open_data_set(f"hf:{tmp_path}").count("train")
    assert caught.value.where == str(paths[1])


def test_row_groups_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = write_split(tmp_path, files=1)
    monkeypatch.setattr(limits, "MAX_ROW_GROUP_BYTES", 100)
    with pytest.raises(UserError, match="100 are read at a time") as caught:
        open_data_set(f"hf:{tmp_path}").count("train")
    assert caught.value.where == f"{path}, row group 1"
