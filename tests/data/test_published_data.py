"""Data sets in the layouts that they are published in, written small: CIFAR-10, ImageNet's folders, COCO's captions."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trilemma.card import Card
from trilemma.data import cifar, home, imagenet
from trilemma.data.cifar import FILES, Cifar10
from trilemma.data.classes import class_names, rows_of_class
from trilemma.data.coco import Coco
from trilemma.data.datasets import OPENERS, DataSet, open_data_set
from trilemma.data.image_folder import ImageFolder, open_image_folder
from trilemma.data.imagenet import ImageNet, imagenet_classes
from trilemma.errors import UserError
from trilemma.families.control_cards import missing, over
from trilemma.protocols import find_protocol
from trilemma.runner.data_reference import absence, measured_set
from trilemma.runner.prompts import prompts_of
from trilemma.runner.reference_sets import ReferenceSet
from trilemma.workspace import find_workspace

WORKSPACE = find_workspace(start=Path(__file__).parent)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(home.VARIABLE, str(tmp_path / "data"))
    monkeypatch.setenv("TRILEMMA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "data"


def write_cifar(folder: Path, each: int = 12) -> None:
    """Pictures of class c have a red of 20 c, and no other colour but their number in green."""
    folder.mkdir(parents=True)
    for part, name in enumerate([name for names in FILES.values() for name in names]):
        labels = np.arange(each, dtype=np.uint8) % 10
        planes = np.zeros((each, 3, 32, 32), np.uint8)
        planes[:, 0] = 20 * labels[:, None, None]
        planes[:, 1] = (each * part + np.arange(each))[:, None, None]
        planes[:, 2, 0, 5] = 255
        (folder / name).write_bytes(np.concatenate([labels[:, None], planes.reshape(each, -1)], axis=1).tobytes())


def write_image(path: Path, color: tuple[int, int, int], size: tuple[int, int] = (12, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)


@pytest.fixture
def small_cifar(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file has 12 pictures in the place of 10,000."""
    monkeypatch.setattr(cifar, "RECORDS", 12)


@pytest.mark.usefixtures("small_cifar")
def test_cifar_is_read_plane_by_plane(root: Path) -> None:
    write_cifar(root / "cifar-10-batches-bin")
    data = open_data_set("cifar10")
    assert (data.count("train"), data.count("test")) == (60, 12)
    images = data.images("train", [13, 0], 32)
    assert images.shape == (2, 32, 32, 3) and images.dtype == np.uint8
    assert images[0, 9, 9].tolist() == [20, 13, 0] and images[0, 0, 5].tolist() == [20, 13, 255]
    assert data.labels("train", np.array([13, 2])).tolist() == [1, 2]
    assert data.prompts("test", [2]) == ["bird"] and data.images("test", [2], 32)[0, 0, 0].tolist() == [40, 62, 0]


@pytest.mark.usefixtures("small_cifar")
def test_what_is_wrong_with_cifar_is_named(root: Path) -> None:
    with pytest.raises(UserError, match=r"cifar10 are missing.*cifar-10-binary"):
        open_data_set("cifar10").count("train")
    write_cifar(root / "cifar10")
    data = Cifar10()
    with pytest.raises(UserError, match='no split "trian". Did you mean "train"'):
        data.count("trian")
    with pytest.raises(UserError, match="32x32, not 64x64"):
        data.images("train", [0], 64)
    with pytest.raises(UserError, match='outside the split "test"'):
        data.labels("test", [12])
    for size in (100, 11 * 3073):  # cut off, within a record and between two
        (root / "cifar10" / "data_batch_2.bin").write_bytes(bytes(size))
        with pytest.raises(UserError, match=r"data_batch_2.bin: .*bytes are not 12 records"):
            Cifar10().count("train")
    (root / "cifar10" / "test_batch.bin").write_bytes(b"\x0b" + bytes(12 * 3073 - 1))
    with pytest.raises(UserError, match="10 classes, and a label 11"):
        Cifar10().count("test")


def write_folder(root: Path) -> None:
    for split, number in (("train", 6), ("val", 2)):
        for place, name in enumerate(("cat", "dog")):
            for index in range(number):
                write_image(root / split / name / f"{index}.png", (100 * place, index, 7))
    write_image(root / "loose" / "a.png", (1, 2, 3))
    (root / "train" / ".hidden").mkdir()


def test_a_folder_has_splits_and_classes(tmp_path: Path) -> None:
    write_folder(tmp_path)
    data = open_data_set(f"{tmp_path}/")
    assert isinstance(data, ImageFolder) and class_names(data) == ("cat", "dog")
    assert [data.count(split) for split in ("train", "val", "loose", "all")] == [12, 4, 1, 17]
    labels, rows = data.labels("train", range(12)), data.images("train", range(12), 6)
    assert rows.shape == (12, 6, 6, 3) and (rows[:, 3, 3, 0] == 100 * labels).all()
    assert set(map(tuple, rows[:, 3, 3].tolist())) == {
        (100 * place, index, 7) for place in (0, 1) for index in range(6)
    }
    assert data.prompts("val", [0]) == [("cat", "dog")[data.labels("val", [0])[0]]]
    assert data.images("val", [], 6).shape == (0, 6, 6, 3)


def test_the_order_of_a_folder_is_mixed_and_does_not_change(tmp_path: Path) -> None:
    write_folder(tmp_path)
    first, second = (open_image_folder(str(tmp_path)).labels("train", range(12)).tolist() for _ in range(2))
    assert first == second != sorted(first)


def test_a_folder_has_two_halves_that_share_nothing(tmp_path: Path) -> None:
    write_folder(tmp_path)
    data = open_image_folder(str(tmp_path))
    halves = [data.images(split, range(data.count(split)), 6) for split in ("first-half", "second-half")]
    assert [len(half) for half in halves] == [9, 8]
    colours = [tuple(image[3, 3].tolist()) for half in halves for image in half]
    assert sorted(colours) == sorted(tuple(image[3, 3].tolist()) for image in data.images("all", range(17), 6))
    assert data.labels("first-half", range(9)).tolist() == [-1] * 9
    write_image(tmp_path / "first-half" / "own.png", (9, 9, 9))
    assert open_image_folder(str(tmp_path)).count("first-half") == 1


def test_another_picture_is_another_version(tmp_path: Path) -> None:
    write_folder(tmp_path)
    before = open_image_folder(str(tmp_path)).version
    assert before == open_image_folder(str(tmp_path)).version
    write_image(tmp_path / "train" / "cat" / "new.png", (0, 0, 0))
    assert open_image_folder(str(tmp_path)).version != before


def test_other_pixels_in_as_many_bytes_are_another_version(tmp_path: Path) -> None:
    write_image(tmp_path / "photos" / "0.bmp", (1, 2, 3))
    before, told = open_image_folder(f"{tmp_path}/photos").version, (tmp_path / "photos" / "0.bmp").stat()
    write_image(tmp_path / "photos" / "0.bmp", (3, 2, 1))
    os.utime(tmp_path / "photos" / "0.bmp", ns=(told.st_atime_ns, told.st_mtime_ns))
    assert (tmp_path / "photos" / "0.bmp").stat().st_size == told.st_size
    assert open_image_folder(f"{tmp_path}/photos").version != before


def test_a_version_tells_pictures_and_their_names_and_not_where_they_lie(tmp_path: Path) -> None:
    write_folder(tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b", copy_function=shutil.copyfile)
    one, copy = (open_image_folder(f"{tmp_path}/{name}").version for name in "ab")
    assert one == copy
    (tmp_path / "b" / "train" / "cat").rename(tmp_path / "b" / "train" / "cow")  # another class, with the same pictures
    assert open_image_folder(f"{tmp_path}/b").version != one


def test_two_folders_of_one_relative_name_share_no_measurements(tmp_path: Path) -> None:
    entry, paths = ReferenceSet(name="reference", images=2, split="all"), []
    for lab, colour in (("one", (1, 2, 3)), ("two", (3, 2, 1))):
        (tmp_path / lab / "benchmarks").mkdir(parents=True)
        for index in range(2):
            write_image(tmp_path / lab / "photos" / f"{index}.bmp", colour)
        protocol = replace(
            find_protocol("fashion-mnist", WORKSPACE), data="../photos", home=tmp_path / lab / "benchmarks"
        )
        paths.append(entry.path(tmp_path / "cache", protocol, {"features": "f"}))
    assert paths[0] != paths[1]


def test_pictures_without_classes_have_no_prompts(tmp_path: Path) -> None:
    write_folder(tmp_path)
    data = open_image_folder(str(tmp_path))
    assert data.labels("loose", [0]).tolist() == data.labels("all", [0]).tolist() == [-1]
    with pytest.raises(UserError, match='have no prompts. Name a "file"'):
        data.prompts("loose", [0])
    with pytest.raises(UserError, match="outside the split"):
        data.labels("loose", [1])
    with pytest.raises(UserError, match='no split "vall"'):
        data.count("vall")
    with pytest.raises(UserError, match="are missing"):
        open_image_folder(str(tmp_path / "nowhere")).count("train")


def test_rows_of_a_class(tmp_path: Path) -> None:
    write_folder(tmp_path)
    data = open_image_folder(str(tmp_path))
    rows = rows_of_class(data, "train", 1, 3, start=2)
    assert len(rows) == 3 and data.labels("train", rows).tolist() == [1, 1, 1]
    assert not set(rows) & set(rows_of_class(data, "train", 1, 2))
    with pytest.raises(UserError, match='has 6 pictures of the class "dog"; 7 are needed'):
        rows_of_class(data, "train", 1, 5, start=2)


def test_imagenet_takes_its_names_from_torchvision(root: Path) -> None:
    from torchvision.models import ResNet50_Weights

    assert list(imagenet_classes()) == ResNet50_Weights.DEFAULT.meta["categories"]
    assert class_names(ImageNet())[:2] == ("tench", "goldfish")
    with pytest.raises(UserError, match=f"Looked in {root / 'imagenet'}"):
        ImageNet().count("val")


def test_imagenet_with_a_class_missing_is_refused(root: Path) -> None:
    write_image(root / "imagenet" / "val" / "n01440764" / "a.JPEG", (1, 2, 3))
    data = ImageNet()
    for _ in range(2):
        with pytest.raises(UserError, match="folders of 1 classes here, not of 1,000"):
            data.labels("val", [0])


def test_a_split_of_imagenet_is_whole_or_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert dict(imagenet.PICTURES) == {"train": 1_281_167, "val": 50_000}
    monkeypatch.setattr(imagenet, "PICTURES", {"train": 2, "val": 1})
    for number in range(1000):
        (root / "imagenet" / "train" / f"n{number:08d}").mkdir(parents=True)
    write_image(root / "imagenet" / "train" / "n00000001" / "a.JPEG", (1, 2, 3))
    for _ in range(2):
        with pytest.raises(UserError, match=r"train: there are 1 pictures of the split here, not 2. Unpack all"):
            ImageNet().count("train")
    write_image(root / "imagenet" / "train" / "n00000000" / "a.JPEG", (1, 2, 3))
    assert ImageNet().count("train") == 2
    with pytest.raises(UserError, match='"imagenet" has no split "all"'):
        ImageNet().count("all")


def test_imagenet_has_its_labels_in_the_order_of_the_folders(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagenet, "PICTURES", {"train": 1, "val": 1})
    for number in range(1000):
        (root / "imagenet" / "val" / f"n{number:08d}").mkdir(parents=True)
    write_image(root / "imagenet" / "val" / "n00000001" / "a.JPEG", (200, 100, 50), (40, 30))
    data = open_data_set("imagenet")
    assert data.labels("val", [0]).tolist() == [1] and data.prompts("val", [0]) == ["goldfish"]
    assert data.images("val", [0], 16).shape == (1, 16, 16, 3)


def write_coco(root: Path, split: str = "val2014", pictures: int = 9) -> None:
    images = [{"id": 10 * i, "file_name": f"COCO_{i}.png"} for i in range(pictures)]
    notes = [
        {"id": 100 * i + 5 - j, "image_id": 10 * i, "caption": f" picture {i}, caption {j}.\n"}
        for i in range(pictures - 1)
        for j in range(3)
    ]
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    (root / "annotations" / f"captions_{split}.json").write_text(json.dumps({"images": images, "annotations": notes}))
    for i in range(pictures):
        write_image(root / split / f"COCO_{i}.png", (20 * i, 0, 0))


def test_coco_has_one_caption_for_each_picture(root: Path) -> None:
    write_coco(root / "coco")
    data = open_data_set("coco")
    assert data.count("val2014") == 8  # one has no caption
    rows = list(range(8))
    captions, images = data.prompts("val2014", rows), data.images("val2014", rows, 4)
    numbers = (images[:, 1, 1, 0] // 20).tolist()
    assert captions == [f"picture {number}, caption 2." for number in numbers]  # that of the lowest id
    assert sorted(numbers) == rows != numbers
    assert data.labels("val2014", [0, 3]).tolist() == [-1, -1]
    with pytest.raises(UserError, match="has no classes"):
        class_names(data)


def test_captions_without_their_pictures_are_told_at_once(root: Path) -> None:
    """Prompts are read all the same; what is compared with the pictures is not begun."""
    write_coco(root / "coco", "train2014")
    found = find_protocol("coco30k", WORKSPACE)
    protocol = replace(found, sets=(replace(found.sets[0], split="train2014", images=8),))
    entry = ReferenceSet(name="floor", images=8, split="train2014")
    assert absence(entry, protocol) is None
    for first_only in (True, False):
        if first_only:
            (root / "coco" / "train2014" / Coco()._of("train2014").names[0]).unlink()
        else:
            shutil.rmtree(root / "coco" / "train2014")
        told = absence(entry, protocol, advice=True)
        assert told is not None and "the pictures of coco, train2014, are missing. Looked in" in told
        assert str(root / "coco" / "train2014") in told and "cocodataset.org" in told
        with pytest.raises(UserError, match="pictures of coco, train2014, are missing"):
            measured_set(entry, protocol, None, None, lambda done: None)  # type: ignore[arg-type]
    card = Card(name="real", family="controls", options={"kind": "real"}, path=root)
    control = missing(over(card, protocol))
    assert control is not None and "pictures of coco, train2014, are missing" in str(control)
    assert [one.text[:8] for one in prompts_of(protocol, protocol.sets[0], 8)] == ["picture "] * 8
    with pytest.raises(UserError, match="this picture is missing. Get it") as caught:
        Coco().images("train2014", [1], 4)
    assert caught.value.where is not None and caught.value.where.startswith(str(root / "coco" / "train2014"))


def test_what_is_wrong_with_coco_is_named(root: Path) -> None:
    with pytest.raises(UserError, match=r"captions of coco, val2017, are missing.*captions_val2017.json"):
        Coco().count("val2017")
    with pytest.raises(UserError, match='no split "val"'):
        Coco().count("val")
    write_coco(root / "coco")
    with pytest.raises(UserError, match="outside the split"):
        Coco().prompts("val2014", [8])
    path = root / "coco" / "annotations" / "captions_val2014.json"
    for bad in ("{", '{"images": [], "annotations": 3}', '{"images": [{"id": 1, "file_name": "../a.png"}]}'):
        path.write_text(bad)
        with pytest.raises(UserError, match="file of captions cannot be read"):
            Coco().count("val2014")


@pytest.mark.parametrize("name", OPENERS)
def test_a_version_and_a_name_need_no_files(name: str, root: Path) -> None:
    data: DataSet = open_data_set(name)
    assert data.name == name and data.version >= 1
