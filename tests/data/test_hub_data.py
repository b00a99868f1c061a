"""Data sets of the hub: what is at hand is read, and nothing is downloaded unless that is asked for and allowed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trilemma.data import home, hub_data, hub_stream
from trilemma.data.classes import class_names
from trilemma.data.datasets import Fetched, open_data_set, open_located
from trilemma.errors import UserError

NAME = "hf:owner/things@v1.0"
NAMES = ["cat", "dog"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No data, no variables, and a cache of the hub's client that is empty."""
    monkeypatch.setenv(home.VARIABLE, str(tmp_path / "data"))
    monkeypatch.setenv("TRILEMMA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    for variable in hub_stream.OFFLINE:
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


def picture(value: int) -> bytes:
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (4, 4), (value, 0, 9)).save(file, "PNG")
    return file.getvalue()


class Image:
    def __init__(self, decode: bool = True) -> None:
        self.decode = decode


class ClassLabel: ...


class Value: ...


class Audio: ...


class Features(dict[str, Any]):
    """Knows its own schema, as that of ``datasets`` does."""

    @property
    def arrow_schema(self) -> pa.Schema:
        import json

        kinds = {"Image": pa.struct([("bytes", pa.binary()), ("path", pa.string())]), "ClassLabel": pa.int64()}
        schema = pa.schema([(name, kinds.get(type(one).__name__, pa.string())) for name, one in self.items()])
        told = {name: {"_type": type(one).__name__, "names": NAMES} for name, one in self.items()}
        return schema.with_metadata({"huggingface": json.dumps({"info": {"features": told}})})


class Stream:
    """What ``load_dataset`` returns: rows that are made as they are asked for."""

    def __init__(self, rows: int, features: Features) -> None:
        self.rows, self.features = rows, features
        self.given = 0

    def select_columns(self, names: list[str]) -> Stream:
        self.features = Features({name: self.features[name] for name in names})
        return self

    def cast_column(self, name: str, feature: Any) -> Stream:
        self.features[name] = feature
        return self

    def __iter__(self) -> Iterator[dict[str, Any]]:
        assert not self.features["pic"].decode, "pictures are to be left as they are stored"
        for number in range(self.rows):
            self.given += 1
            known = {"pic": {"bytes": picture(number), "path": None}, "kind": number % 2, "caption": f"thing {number}"}
            yield {name: known[name] for name in self.features}


class Package(ModuleType):
    """Stands in for the package ``datasets``."""

    Image = Image

    def __init__(self) -> None:
        super().__init__("datasets")
        self.asked: list[tuple[Any, ...]] = []
        self.streams: list[Stream] = []

    def load_dataset(self, path: str, name: str | None, *, split: str, revision: str, streaming: bool) -> Stream:
        self.asked.append((path, name, split, revision, streaming))
        if split != "train":
            raise ValueError(f"Unknown split {split!r}.\nShould be one of ['train'].")
        kinds = Features({"pic": Image(), "kind": ClassLabel(), "caption": Value(), "sound": Audio()})
        self.streams.append(Stream(150, kinds))
        return self.streams[-1]


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Package:
    found = Package()
    monkeypatch.setitem(sys.modules, "datasets", found)
    return found


def fetch(name: str, split: str | None = None) -> None:
    data = open_data_set(name)
    assert isinstance(data, Fetched)
    data.fetch(split)


def test_nothing_is_downloaded_unless_it_is_asked_for(package: Package, here: Path) -> None:
    for ask in (lambda: open_data_set(NAME).count("train"), lambda: open_located(NAME).source("train")):
        with pytest.raises(UserError, match=r"are missing. Looked in .*owner--things/v1.0/default.*--download"):
            ask()
    assert package.asked == [] and open_data_set(NAME).version == 2


def test_a_split_is_streamed_into_a_file_and_read_from_it(package: Package, here: Path) -> None:
    fetch(f"{NAME}?config=big", "train")
    assert package.asked == [("owner/things", "big", "train", "v1.0", True)]
    data = open_data_set(f"{NAME}?config=big")
    assert data.count("train") == 150 and class_names(data) == tuple(NAMES)
    numbers = data.images("train", range(150), 4)[:, 0, 0, 0].tolist()
    assert sorted(numbers) == list(range(150)) != numbers
    assert data.prompts("train", range(150)) == [f"thing {number}" for number in numbers]
    (file,) = (here / "data").rglob("*.*t")
    told = pq.ParquetFile(file)
    assert told.schema_arrow.names == ["pic", "kind", "caption"]
    assert [told.metadata.row_group(i).num_rows for i in range(told.num_row_groups)] == [64, 64, 22]
    fetch(f"{NAME}?config=big&split=train")
    assert len(package.asked) == 1  # it is there
    with pytest.raises(UserError, match="are missing"):
        open_data_set(NAME).count("train")  # another configuration


def test_the_first_pictures_alone_are_streamed(package: Package) -> None:
    fetch(f"{NAME}?first=10", "train")
    assert open_data_set(f"{NAME}?first=10").count("train") == 10
    assert package.streams[0].given == 10


def test_large_pictures_make_small_row_groups(package: Package, monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    monkeypatch.setattr(hub_stream, "GROUP_BYTES", 3 * len(picture(0)) - 10)
    fetch(f"{NAME}?first=9", "train")
    (file,) = (here / "data").rglob("*.parquet")
    assert pq.ParquetFile(file).num_row_groups == 3


def test_a_download_that_fails_leaves_nothing(package: Package, monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    def broken(self: Stream) -> Iterator[dict[str, Any]]:
        yield {"pic": {"bytes": picture(1), "path": None}, "kind": 0, "caption": "x"}
        raise ConnectionError("the line is dead\nand gone")

    monkeypatch.setattr(Stream, "__iter__", broken)
    with pytest.raises(UserError, match="cannot be downloaded: the line is dead and gone.$"):
        fetch(NAME, "train")
    assert [path for path in (here / "data").rglob("*") if path.is_file()] == []


def test_pictures_that_are_paths_are_refused(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"pic": {"bytes": None, "path": "x.png"}, "kind": 0, "caption": "x"}]
    monkeypatch.setattr(Stream, "__iter__", lambda self: iter(rows))
    with pytest.raises(
        UserError, match="row 1 has a path and no picture.*the commit of the branch refs/convert/parquet"
    ):
        fetch(NAME, "train")


def test_a_split_that_is_not_there_is_told(package: Package) -> None:
    with pytest.raises(UserError, match=r"cannot be downloaded: Unknown split 'test'. Should be one of \['train'\]"):
        fetch(NAME, "test")
    with pytest.raises(UserError, match="which split"):
        fetch(NAME)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"not installed.*pip install 'trilemma\[datasets\]'") as caught:
        fetch(NAME, "train")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("variable", hub_stream.OFFLINE)
def test_offline_nothing_is_downloaded(variable: str, package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "1")
    with pytest.raises(UserError, match=f"{variable} is set"):
        fetch(NAME, "train")
    assert package.asked == []
    monkeypatch.setenv(variable, "0")
    fetch(NAME, "train")


def test_what_the_hub_s_client_has_downloaded_is_read(here: Path) -> None:
    commit = "0" * 40
    snapshot = here / "hub" / "datasets--owner--things" / "snapshots" / commit
    (snapshot / "data").mkdir(parents=True)
    rows = pa.table({"image": [{"bytes": picture(7), "path": "x"}], "label": [0]})
    for number in range(2):
        pq.write_table(rows, snapshot / "data" / f"test-{number:05d}-of-00002.parquet")
    assert open_data_set(f"hf:owner/things@{commit}").count("test") == 2


ONE = pa.table({"image": [{"bytes": picture(7), "path": "x"}], "label": [0]})
COMMIT = "0" * 40


def in_the_client_s_cache(here: Path, *names: str) -> None:
    for name in names:
        path = here / "hub" / "datasets--owner--things" / "snapshots" / COMMIT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(ONE, path)


@pytest.mark.parametrize(
    "part", ["data/train-00000-of-00012.parquet", "default/train/0000.parquet", "train/0000.parquet"]
)
def test_a_part_of_a_split_is_not_the_split(part: str, package: Package, here: Path) -> None:
    """The hub's client fetches single files too; of numbers without a total nobody knows how many there are."""
    name = f"hf:owner/things@{COMMIT}"
    in_the_client_s_cache(here, part)
    with pytest.raises(UserError, match="are missing. Looked in .*--download"):
        open_data_set(name).count("train")
    in_the_client_s_cache(here, str(Path(part).with_name("test.parquet")).replace("/train/", "/"))
    if not part.startswith("train"):
        assert open_data_set(name).count("test") == 1
        with pytest.raises(UserError, match='split "train" .* is not at hand. There are: test. --download'):
            open_data_set(name).count("train")
    fetch(name, "train")
    assert open_data_set(name).count("train") == 150


def test_what_was_fetched_is_read_whatever_the_client_has(package: Package, here: Path) -> None:
    name = f"hf:owner/things@{COMMIT}"
    in_the_client_s_cache(here, "one/train.parquet", "two/train.parquet")
    with pytest.raises(UserError, match="several configurations here: one, two"):
        open_data_set(name).count("train")
    with pytest.raises(UserError, match="are missing"):
        open_data_set(f"{name}?config=three").count("train")
    assert open_data_set(f"{name}?config=two").count("train") == 1
    fetch(name, "train")
    assert open_data_set(name).count("train") == 150
    assert len(package.asked) == 1


@pytest.mark.parametrize("branch", ["main", "master", "HEAD", "refs/convert/parquet", "refs/pr/1"])
def test_a_branch_is_no_revision(branch: str) -> None:
    with pytest.raises(UserError, match=f'"{branch}" may be other data tomorrow. Give the commit'):
        open_data_set(f"hf:owner/things@{branch}")


@pytest.mark.parametrize("pinned", [COMMIT, "v1.0", "maintained", "main-2024", "release/main"])
def test_a_commit_or_a_tag_is_a_revision(pinned: str) -> None:
    assert open_data_set(f"hf:owner/things@{pinned}").name == f"hf:owner/things@{pinned}"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hf:owner/things", "may change at any time.*hf:owner/things@COMMIT"),
        ("hf:things@v1", "no data set of the hub"),
        ("hf:owner/../things@v1", "no data set of the hub"),
        ("hf:", "no data set of the hub"),
        ("hf:owner/things@../x", "no revision"),
        ("wds:", "names no data"),
        ("wds:x?config=y", 'no option "config"'),
    ],
)
def test_names_that_cannot_be(name: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        open_data_set(name)


def test_places_are_inside_the_folder_of_data_sets(here: Path) -> None:
    name = "hf:owner/things@release/1.0?config=a.b"
    for place in hub_data._places(open_located(name)._located):  # type: ignore[attr-defined]
        assert place.parts[-4:] == ("hub", "owner--things", "release%2F1.0", "a.b")
