"""Fashion-MNIST and MNIST: what a picture, a split and a prompt are, and where files are looked for."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torchvision
from numpy.typing import NDArray

from trilemma.data import home, mnist
from trilemma.data.datasets import open_data_set
from trilemma.data.idx_file import read_idx
from trilemma.data.mnist import FASHION_MNIST, MnistData, open_fashion_mnist
from trilemma.data.mnist_files import find
from trilemma.errors import UserError

WriteIdx = Callable[[Path, NDArray[np.uint8]], None]
HERE = find(FASHION_MNIST)
NEEDS_FILES = pytest.mark.skipif(
    HERE is None, reason=f"the files of Fashion-MNIST are not here: name the folder above theirs in ${home.VARIABLE}"
)


@pytest.fixture
def data(small_fashion_mnist: Path) -> MnistData:
    return open_fashion_mnist()


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Neither the variable nor the cache leads to any data."""
    monkeypatch.delenv(home.VARIABLE, raising=False)
    monkeypatch.setenv("TRILEMMA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "data"


def test_a_picture_is_padded_and_repeated(data: MnistData, small_fashion_mnist: Path) -> None:
    stored = read_idx(small_fashion_mnist / "train-images-idx3-ubyte.gz", 3)
    images = data.images("train", [5, 0], 32)
    assert images.shape == (2, 32, 32, 3) and images.dtype == np.uint8
    assert all(np.array_equal(images[0, 2:30, 2:30, channel], stored[5]) for channel in range(3))
    assert images.astype(int).sum() == 3 * stored[[5, 0]].astype(int).sum()  # black around it


def test_splits_are_parts_of_the_published_ones(data: MnistData) -> None:
    assert [data.count(split) for split in ("train", "test", "fit", "validation")] == [240, 60, 200, 40]
    whole = data.images("train", range(240))
    assert np.array_equal(data.images("fit", range(200)), whole[:200])
    assert np.array_equal(data.images("validation", range(40)), whole[200:])
    assert np.array_equal(data.labels("validation", [0, 39]), data.labels("train", [200, 239]))
    assert not np.array_equal(data.images("test", range(60)), whole[:60])


def test_a_prompt_is_the_name_of_the_class(data: MnistData, small_fashion_mnist: Path) -> None:
    stored = read_idx(small_fashion_mnist / "t10k-labels-idx1-ubyte", 1)
    labels = data.labels("test", range(60))
    assert labels.dtype == np.int64 and np.array_equal(labels, stored)
    assert data.prompts("test", range(3)) == [FASHION_MNIST.classes[label] for label in stored[:3]]


def test_wrong_prompts_are_those_of_any_other_class(data: MnistData) -> None:
    rows = np.arange(200)
    wrong = [name for seed in range(20) for name in data.wrong_prompts("fit", rows, np.random.default_rng(seed))]
    right = data.prompts("fit", rows) * 20
    assert not any(a == b for a, b in zip(wrong, right, strict=True))
    trouser = [name for name, true in zip(wrong, right, strict=True) if true == "trouser"]
    assert {name: trouser.count(name) > len(trouser) / 30 for name in FASHION_MNIST.classes} == {
        name: name != "trouser" for name in FASHION_MNIST.classes
    }


def test_the_vocabulary_holds_every_word(data: MnistData) -> None:
    words = data.vocabulary()
    assert words == sorted(set(words)) and "t-shirt/top" in words
    assert {word for name in data.classes for word in name.lower().split()} == set(words)


@pytest.mark.parametrize(
    ("split", "indices", "resolution", "message"),
    [
        ("fit", [200], 32, 'outside the split "fit"'),
        ("test", [-1], 32, 'outside the split "test"'),
        ("trian", [0], 32, 'no split "trian". Did you mean "train"'),
        ("train", [0], 64, "pictures of 32x32, not 64x64"),
    ],
)
def test_what_is_not_there_is_refused(
    data: MnistData, split: str, indices: list[int], resolution: int, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        data.images(split, indices, resolution)


def test_class_names_need_no_files(nowhere: Path) -> None:
    data = open_data_set("fashion-mnist")
    assert data.name == "fashion-mnist" and data.resolution == 32
    assert isinstance(data, MnistData) and len(data.classes) == 10


def test_missing_files_are_told_with_the_way_to_get_them(nowhere: Path) -> None:
    with pytest.raises(UserError, match=r"files of fashion-mnist are missing.*TRILEMMA_DATA.*--download") as caught:
        open_data_set("fashion-mnist").count("train")
    assert str(nowhere / "fashion-mnist") in str(caught.value)


def test_one_missing_file_is_named(small_fashion_mnist: Path) -> None:
    (small_fashion_mnist / "train-images-idx3-ubyte.gz").unlink()
    with pytest.raises(UserError, match="train-images-idx3-ubyte: this file is missing"):
        open_fashion_mnist().count("fit")


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("train-labels-idx1-ubyte", np.zeros(239, np.uint8), "239 labels do not go with"),
        ("train-labels-idx1-ubyte", np.full(240, 10, np.uint8), "there are 10 classes, and a label 10"),
        ("train-images-idx3-ubyte.gz", np.zeros((240, 28, 27), np.uint8), r"shape \(240, 28, 27\)"),
    ],
)
def test_files_that_do_not_go_together_are_refused(
    small_fashion_mnist: Path, write_idx: WriteIdx, name: str, array: NDArray[np.uint8], message: str
) -> None:
    write_idx(small_fashion_mnist / name, array)
    with pytest.raises(UserError, match=message):
        open_fashion_mnist().count("train")


def test_other_pictures_than_the_published_ones_are_refused(
    small_fashion_mnist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mnist, "FASHION_MNIST", FASHION_MNIST)
    with pytest.raises(UserError, match="not the published pictures of fashion-mnist"):
        open_fashion_mnist().count("test")


def test_torchvisions_own_layout_is_found(nowhere: Path, small_fashion_mnist: Path) -> None:
    raw = nowhere / "FashionMNIST" / "raw"
    raw.parent.mkdir(parents=True)
    small_fashion_mnist.rename(raw)
    assert open_fashion_mnist().count("test") == 60


@pytest.mark.usefixtures("nowhere")
def test_nothing_is_fetched_unless_asked(monkeypatch: pytest.MonkeyPatch, nowhere: Path) -> None:
    asked: list[tuple[str, bool]] = []

    def fetched(root: str, *, download: bool) -> None:
        asked.append((root, download))
        raise RuntimeError("no\nmirror answers")

    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", fetched)
    with pytest.raises(UserError, match="files of fashion-mnist are missing"):
        open_data_set("fashion-mnist").count("train")
    assert asked == []
    with pytest.raises(UserError, match="cannot download fashion-mnist: no mirror answers"):
        open_data_set("fashion-mnist", download=True)
    assert asked == [(str(nowhere), True)]


@pytest.fixture
def downloads(small_fashion_mnist: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What torchvision is asked for; it lays out four files of its own, unpacked."""
    asked: list[str] = []
    files = {path.name: path.read_bytes() for path in small_fashion_mnist.iterdir()}

    def fetched(root: str, *, download: bool) -> None:
        asked.append(root)
        raw = Path(root, "FashionMNIST", "raw")
        raw.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (raw / name.removesuffix(".gz")).write_bytes(gzip.decompress(data) if name.endswith(".gz") else data)

    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", fetched)
    return asked


@pytest.mark.parametrize("lost", ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte.gz"])
@pytest.mark.parametrize("own", [True, False])
def test_what_was_cut_off_halfway_is_fetched(
    small_fashion_mnist: Path, downloads: list[str], lost: str, own: bool
) -> None:
    root = small_fashion_mnist.parent
    (small_fashion_mnist / lost).unlink()
    if not own:
        (root / "FashionMNIST").mkdir()
        small_fashion_mnist.rename(root / "FashionMNIST" / "raw")
    with pytest.raises(UserError, match="this file is missing.*--download"):
        data = open_fashion_mnist()
        assert data.count("train") + data.count("test")
    data = open_fashion_mnist(download=True)
    assert downloads == [str(root)] and (data.count("train"), data.count("test")) == (240, 60)
    open_fashion_mnist(download=True)
    assert len(downloads) == 1


def test_a_packed_file_of_torchvision_may_be_cut_off(small_fashion_mnist: Path, downloads: list[str]) -> None:
    raw = small_fashion_mnist.parent / "FashionMNIST" / "raw"
    raw.parent.mkdir()
    small_fashion_mnist.rename(raw)
    packed = raw / "t10k-images-idx3-ubyte.gz"
    packed.write_bytes(packed.read_bytes()[:100])
    assert open_fashion_mnist(download=True).count("test") == 60 and len(downloads) == 1


def test_what_is_here_is_not_fetched_again(small_fashion_mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", None)
    data = open_data_set("fashion-mnist", download=True)
    assert data.count("train") == 240


@NEEDS_FILES
def test_the_published_files() -> None:
    data = open_fashion_mnist()
    assert [data.count(split) for split in ("train", "test", "fit", "validation")] == [60_000, 10_000, 50_000, 10_000]
    assert np.bincount(data.labels("train", range(60_000))).tolist() == [6000] * 10
    assert np.bincount(data.labels("test", range(10_000))).tolist() == [1000] * 10
    assert data.prompts("train", [0]) == data.prompts("test", [0]) == ["ankle boot"]
    inside = data.images("train", range(60_000))[:, 2:30, 2:30, 0]
    assert inside.mean() / 255 == pytest.approx(0.2860, abs=5e-5)  # the mean that everybody normalises with
