"""WebDataset's shards: grouped by name, read in place, indexed once; and what may be wrong with them."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from trilemma.data import shard_index, shard_walk
from trilemma.data.classes import class_names, rows_of_class
from trilemma.data.datasets import open_data_set, open_located
from trilemma.data.sources import open_source
from trilemma.data.web_data import _split
from trilemma.errors import UserError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRILEMMA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def picture(value: int, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (6, 6), (value, 0, 9)).save(file, kind, **({"lossless": True} if kind == "WEBP" else {}))
    return file.getvalue()


def write_shard(path: Path, members: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def write_shards(folder: Path, split: str = "train", shards: int = 3, each: int = 4) -> list[Path]:
    """Sample i is of the colour 10 i, of class i % 2, and says so."""
    paths = []
    for shard in range(shards):
        members: dict[str, bytes] = {}
        for number in range(shard * each, (shard + 1) * each):
            members |= {
                f"{number:06d}.png": picture(10 * number),
                f"{number:06d}.txt": f"a picture, number {number}\n".encode(),
                f"{number:06d}.cls": str(number % 2).encode(),
            }
        paths.append(write_shard(folder / f"{split}-{shard:06d}.tar", members))
    return paths


def test_a_folder_of_shards_is_a_data_set(tmp_path: Path) -> None:
    write_shards(tmp_path)
    write_shards(tmp_path, "val", 1)
    data = open_data_set(f"wds:{tmp_path}")
    assert (data.count("train"), data.count("val"), data.resolution) == (12, 4, None)
    rows = list(range(12))
    images = data.images("train", rows, 4)
    captions, labels = data.prompts("train", rows), data.labels("train", rows)
    numbers = [value // 10 for value in images[:, 0, 0, 0].tolist()]
    assert sorted(numbers) == rows != numbers
    assert captions == [f"a picture, number {number}" for number in numbers]
    assert labels.tolist() == [number % 2 for number in numbers]
    assert data.images("train", rows[::-1], 4).tolist() == images[::-1].tolist()
    assert data.images("train", [], 4).shape == (0, 4, 4, 3)


def test_a_range_names_the_shards(tmp_path: Path) -> None:
    paths = write_shards(tmp_path)
    data = open_data_set(f"wds:{tmp_path}/train-{{000001..000002}}.tar")
    assert data.count("train") == 8
    paths[2].unlink()
    with pytest.raises(UserError, match="no such shard") as caught:
        open_data_set(f"wds:{tmp_path}/train-{{000001..000002}}.tar").count("train")
    assert caught.value.where == str(paths[2])
    with pytest.raises(UserError, match="200,000 shards"):
        open_data_set(f"wds:{tmp_path}/train-{{000000..199999}}.tar").count("train")
    with pytest.raises(UserError, match="one range"):
        open_data_set(f"wds:{tmp_path}/{{0..1}}-{{0..1}}.tar").count("train")


def test_shards_with_numbers_alone_are_one_split(tmp_path: Path) -> None:
    for number in range(2):
        write_shard(tmp_path / f"{number:05d}.tar", {"1.jpg": picture(1, "JPEG")})
    assert open_data_set(f"wds:{tmp_path}").count("all") == 2


NAME = st.from_regex(r"[a-z][a-z0-9]{0,8}([-_.][a-z][a-z0-9]{0,5}){0,2}", fullmatch=True)


@given(NAME, st.sampled_from("-_."), st.integers(1, 8), st.sets(st.integers(0, 10**9), min_size=2, max_size=4))
def test_shards_that_differ_in_their_number_alone_are_of_one_split(
    name: str, separator: str, width: int, numbers: set[int]
) -> None:
    assert {_split(f"{name}{separator}{number:0{width}d}") for number in numbers} == {name}


@pytest.mark.parametrize(
    ("stem", "split"),
    [
        ("ffhq256-000001", "ffhq256"), ("val2014-00000", "val2014"), ("imagenet-256-0001", "imagenet-256"),
        ("train00", "train"), ("train-000012", "train"), ("train--1", "train"), ("train", "train"), ("00012", "all"),
        ("cc3m-train-0575", "cc3m-train"), ("-1", "-"),
    ],
)  # fmt: skip
def test_the_name_of_a_shard_tells_its_split(stem: str, split: str) -> None:
    assert _split(stem) == split


def test_as_a_source_the_pictures_are_those_of_a_folder(tmp_path: Path) -> None:
    write_shards(tmp_path / "shards")
    (tmp_path / "folder").mkdir()
    for number in range(12):
        (tmp_path / "folder" / f"{number:06d}.png").write_bytes(picture(10 * number))
    source, folder = open_located(f"wds:{tmp_path}/shards").source(), open_source(tmp_path / "folder")
    assert source.digest() == folder.digest() and source.size() == (6, 6) and source.skipped == 0
    assert source.keys() == sorted(source.keys()) and source.keys()[5] == "train-000001.tar/000005.png"
    assert all(np.array_equal(*pair) for pair in zip(source.images(2, 9), folder.images(2, 9), strict=True))


def test_tables_hold_captions_and_labels(tmp_path: Path) -> None:
    table = json.dumps({"caption": "from the table", "label": 1, "width": 6}).encode()
    members = {"a/x.webp": picture(1, "WEBP"), "a/x.json": table, "b/x.JPG": picture(2, "JPEG"), "b/x.json": table}
    write_shard(tmp_path / "train-0.tar", members | {"b/x.seg.png": b"a mask", "._b.png": b"", "readme.md": b""})
    source = open_located(f"wds:{tmp_path}").source()
    assert source.captions(np.array([1, 0])) == ["from the table"] * 2
    assert source.labels().tolist() == [1, 1] and source.keys() == ["train-0.tar/a/x.webp", "train-0.tar/b/x.JPG"]
    assert source.skipped == 2


def test_classes_have_the_names_of_a_file_beside_the_shards(tmp_path: Path) -> None:
    for number in range(4):
        members = {f"{number}{i}.png": picture(number) for i in range(2)} | {f"{number}1.cls": str(number % 2).encode()}
        write_shard(tmp_path / f"train-{number}.tar", {name: members[name] for name in sorted(members)})
    (tmp_path / "classes.txt").write_text("cat\nbig dog\n")
    data = open_data_set(f"wds:{tmp_path}?classes=classes.txt")
    assert class_names(data) == ("cat", "big dog")
    rows = rows_of_class(data, "train", 1, 2)
    assert data.prompts("train", rows) == ["big dog", "big dog"]
    with pytest.raises(UserError, match="have no prompts"):
        data.prompts("train", range(8))
    with pytest.raises(UserError, match="has no classes"):
        class_names(open_data_set(f"wds:{tmp_path}"))
    (tmp_path / "classes.txt").write_text("cat\n")
    with pytest.raises(UserError, match="1 classes, and a label 1"):
        open_data_set(f"wds:{tmp_path}?classes=classes.txt").prompts("train", rows)


@pytest.mark.parametrize(
    ("members", "where", "said"),
    [
        ({"1.png": b"no image"}, "1.png", "is no PNG, JPEG, WebP or BMP"),
        ({"1.png": picture(1), "1.cls": b"one"}, "1.cls", "member cannot be read: invalid literal"),
        ({"1.png": picture(1), "1.cls": b"-3"}, "1.cls", "-3 is no number of a class"),
        ({"1.png": picture(1), "1.json": b"{"}, "1.json", "member cannot be read"),
        ({"1.png": picture(1), "1.jpg": picture(1, "JPEG")}, "1.jpg", "two images"),
        ({"1.png": picture(1), "2.png": picture(1), "./1.png": picture(2)}, "1.png", "there twice"),
        ({"1.png": picture(1), "1.PNG": picture(2)}, "1.PNG", "there twice"),
        ({"../1.png": picture(1)}, "", "points outside the archive"),
        ({"/etc/1.png": picture(1)}, "", "points outside the archive"),
    ],
)
def test_a_broken_member_is_one_line(members: dict[str, bytes], where: str, said: str, tmp_path: Path) -> None:
    path = write_shard(tmp_path / "shards" / "train-0.tar", members)
    with pytest.raises(UserError, match=said) as caught:
        open_located(f"wds:{tmp_path}/shards").source().digest()
    assert caught.value.where == f"{path}/{where}".removesuffix("/") and "\n" not in str(caught.value)
    assert [entry for entry in tmp_path.rglob("*") if entry.is_file()] == [path]  # nothing is unpacked


def test_a_caption_that_is_empty_is_named(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "train-0.tar", {"1.png": picture(1), "1.txt": b" \n"})
    with pytest.raises(UserError, match="caption cannot be read: it is empty") as caught:
        open_data_set(f"wds:{tmp_path}").prompts("train", [0])
    assert caught.value.where == f"{path}/1.png"


def test_links_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "train-0.tar", "w") as archive:
        link = tarfile.TarInfo("1.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
    with pytest.raises(UserError, match="no plain file"):
        open_located(f"wds:{tmp_path}").source()


def test_a_shard_that_is_cut_off_is_named(tmp_path: Path) -> None:
    path = write_shards(tmp_path, shards=1)[0]
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(UserError, match="shard cannot be read") as caught:
        open_data_set(f"wds:{tmp_path}").count("train")
    assert caught.value.where == str(path)


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there are no shards here"):
        open_data_set(f"wds:{tmp_path}").count("train")
    (tmp_path / "train-0.tar.gz").write_bytes(b"")
    with pytest.raises(UserError, match="gunzip"):
        open_data_set(f"wds:{tmp_path}").count("train")
    write_shard(tmp_path / "train-0.tar", {"1.txt": b"no picture"})
    with pytest.raises(UserError, match="no images in these shards"):
        open_data_set(f"wds:{tmp_path}").count("train")
    write_shards(tmp_path, "val")
    with pytest.raises(UserError, match='no split "vall". Did you mean "val"'):
        open_data_set(f"wds:{tmp_path}").count("vall")
    with pytest.raises(UserError, match="several splits here: train, val. Add split="):
        open_located(f"wds:{tmp_path}").source()
    assert len(open_located(f"wds:{tmp_path}?split=val").source()) == 12


def settle(paths: list[Path]) -> None:
    """Makes shards as old as those that are not written any more."""
    for path in paths:
        os.utime(path, ns=(10**18, 10**18))


def test_a_shard_is_walked_over_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(write_shards(tmp_path))
    name, walks = f"wds:{tmp_path}", []
    original = shard_index.walked
    monkeypatch.setattr(shard_index, "walked", lambda *told: walks.append(told[2]) or original(*told))
    first = open_data_set(name)
    version, labels = first.version, first.labels("train", range(12)).tolist()
    assert len(walks) == 3
    again = open_data_set(name)
    assert (again.version, again.labels("train", range(12)).tolist()) == (version, labels) and len(walks) == 3
    assert again.prompts("train", [3]) == first.prompts("train", [3])
    write_shard(tmp_path / "train-000001.tar", {"000004.png": picture(1)})
    changed = open_data_set(name)
    assert changed.count("train") == 9 and changed.version != version and len(walks) == 4


def test_a_damaged_index_is_made_anew(tmp_path: Path, cache: Path) -> None:
    settle(write_shards(tmp_path, shards=1))
    assert open_data_set(f"wds:{tmp_path}").count("train") == 4
    (kept,) = cache.rglob("*.npz")
    kept.write_bytes(b"PK\3\4junk")
    assert open_data_set(f"wds:{tmp_path}").count("train") == 4


def test_a_shard_that_changes_underway_is_told(tmp_path: Path) -> None:
    (path,) = write_shards(tmp_path, shards=1)
    data = open_data_set(f"wds:{tmp_path}")
    assert data.count("train") == 4
    write_shard(path, {"1.png": picture(3)})
    with pytest.raises(UserError, match="the shard has changed since"):
        data.images("train", [0], 4)


def test_the_walk_keeps_no_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = write_shards(tmp_path, shards=1, each=50)
    held: list[int] = []
    original = tarfile.TarFile.next

    def next_member(archive: tarfile.TarFile) -> tarfile.TarInfo | None:
        held.append(len(archive.members))
        return original(archive)

    monkeypatch.setattr(tarfile.TarFile, "next", next_member)
    with path.open("rb") as file:
        index = shard_walk.walked(file, (0, 0), "x")
    assert len(index.names) == 50 and len(held) > 150 and max(held) <= 1
