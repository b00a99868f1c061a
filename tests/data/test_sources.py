"""Image sources: one contract for folders, archives, arrays and Scenes, driven by Hypothesis where it can be."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy
from numpy.typing import NDArray
from PIL import Image

from trilemma.data import scenes
from trilemma.data.scenes_source import scenes_source
from trilemma.data.sources import ImageSource, open_source
from trilemma.errors import UserError

Images = NDArray[np.uint8]
CONTAINERS = ("folder", "zip", "tar", "tar.gz")
ARRAYS = ("npy", "npy, channels first", "npz", "npz, compressed")
LOSSLESS = {".png": "PNG", ".PNG": "PNG", ".bmp": "BMP", ".webp": "WEBP"}
OTHERS = ("notes.txt", "a/labels.csv", ".hidden.png", "a/._1.png", "thumb.db")

# The width or the height may be 3, not both: an array of such pictures fits both layouts.
pictures = st_numpy.arrays(
    np.uint8,
    st.tuples(st.integers(1, 6), st.integers(1, 9), st.integers(1, 9), st.just(3)).filter(lambda s: s[1] != 3),
)
parts = st.text("abcXYZ019-_ é", min_size=1, max_size=4)
names = st.lists(parts, min_size=1, max_size=3).map("/".join)


def encode(image: Images, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
    return file.getvalue()


def pack(files: Mapping[str, bytes], kind: str, folder: Path) -> Path:
    """Writes files as a folder or an archive, in reverse order of their names, and returns its path."""
    path = folder / (kind if kind == "folder" else f"packed.{kind}")
    newest_first = sorted(files.items(), reverse=True)
    if kind == "folder":
        for name, data in newest_first:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
    elif kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in newest_first:
                archive.writestr(name, data)
    else:
        with tarfile.open(path, "w:gz" if kind == "tar.gz" else "w") as archive:
            for name, data in newest_first:
                member = tarfile.TarInfo(f"./{name}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return path


def save(images: Images, kind: str, folder: Path) -> Path:
    path = folder / f"images.{kind[:3]}"
    if kind.startswith("npy"):
        np.save(path, np.ascontiguousarray(images.transpose(0, 3, 1, 2)) if "first" in kind else images)
    else:
        (np.savez_compressed if "compressed" in kind else np.savez)(path, images, np.arange(len(images)))
    return path


def some_images(count: int = 7, side: int = 8) -> Images:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def as_files(images: Images) -> dict[str, bytes]:
    return {f"{index % 2}/{index:03d}.png": encode(image) for index, image in enumerate(images)}


def in_key_order(images: Images) -> Images:
    return images[sorted(range(len(images)), key=lambda index: (index % 2, index))]


@pytest.fixture(params=(*CONTAINERS, *ARRAYS, "scenes"))
def source(request: pytest.FixtureRequest, tmp_path: Path) -> ImageSource:
    if request.param == "scenes":
        return scenes_source("reference", 7, 8)
    if request.param in ARRAYS:
        return open_source(save(some_images(), request.param, tmp_path))
    return open_source(pack(as_files(some_images()), request.param, tmp_path))


def test_contract_of_every_source(source: ImageSource) -> None:
    found = list(source.images())
    assert len(source) == len(found) == len(source.keys()) == 7
    assert source.keys() == sorted(set(source.keys()))
    assert source.size() == (8, 8)
    assert source.skipped == 0
    assert source.name
    assert {(image.shape, image.dtype.name, image.flags.c_contiguous) for image in found} == {
        ((8, 8, 3), "uint8", True)
    }
    assert len(source.digest()) == 64 and source.digest() == source.digest()


def test_ranges_are_slices_in_any_order(source: ImageSource) -> None:
    whole = np.stack(list(source.images()))
    for start, stop in ((4, 7), (0, 3), (2, None), (3, 3), (5, 100), (6, 7), (0, 7)):
        wanted = whole[start:stop]
        assert np.array_equal(np.array(list(source.images(start, stop))).reshape(wanted.shape), wanted)


def test_two_readers_do_not_disturb_each_other(source: ImageSource) -> None:
    whole = list(source.images())
    for one, other in zip(source.images(), source.images(1), strict=False):
        position = next(i for i, image in enumerate(whole) if image is not None and np.array_equal(image, one))
        assert np.array_equal(other, whole[position + 1])


@pytest.mark.parametrize("kind", CONTAINERS)
@given(images=pictures, ending=st.sampled_from(sorted(LOSSLESS)), data=st.data())
@settings(max_examples=15)
def test_round_trip_through_containers(
    kind: str, images: Images, ending: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stems = data.draw(st.lists(names, min_size=len(images), max_size=len(images), unique_by=str.lower))
    keys = [f"{stem}{ending}" for stem in stems]
    files = {key: encode(image, LOSSLESS[ending]) for key, image in zip(keys, images, strict=True)}
    found = open_source(pack(files, kind, tmp_path_factory.mktemp("packed")))
    assert found.keys() == sorted(keys)
    by_key = dict(zip(found.keys(), found.images(), strict=True))
    assert all(np.array_equal(by_key[key], image) for key, image in zip(keys, images, strict=True))
    assert found.size() == images.shape[1:3]


@pytest.mark.parametrize("kind", ARRAYS)
@given(images=pictures)
@settings(max_examples=15)
def test_round_trip_through_arrays(kind: str, images: Images, tmp_path_factory: pytest.TempPathFactory) -> None:
    if images.shape[2] == 3:
        images = images[:, :, :2]
    found = open_source(save(images, kind, tmp_path_factory.mktemp("saved")))
    assert np.array_equal(np.stack(list(found.images())), images)
    assert found.size() == images.shape[1:3]


def test_digest_is_of_the_content_alone(tmp_path: Path) -> None:
    files = as_files(some_images())
    for kind in CONTAINERS:
        pack(files, kind, tmp_path)
    renamed = pack({f"other/{name.upper()}": data for name, data in files.items()}, "folder", tmp_path / "elsewhere")
    for path in renamed.rglob("*.PNG"):
        os.utime(path, (0, 0))
    paths = [tmp_path / "folder", *tmp_path.glob("packed.*"), renamed]
    assert len(paths) == 5
    assert len({open_source(path).digest() for path in paths}) == 1


def test_digest_of_pixels_is_of_the_content_alone(tmp_path: Path) -> None:
    images = scenes.images("reference", range(300), 8)
    digests = {open_source(save(images, kind, tmp_path)).digest() for kind in ARRAYS}
    assert digests == {scenes_source("reference", 300, 8).digest()}


def test_digest_sees_every_change(tmp_path: Path) -> None:
    images = some_images()
    nudged = images.copy()
    nudged[3, 0, 0, 0] ^= 1
    swapped = images[[1, 0, *range(2, 7)]]
    reshaped = images.reshape(7, 4, 16, 3)
    variants = (images, nudged, swapped, reshaped, images[:6])
    for number, kind in ((0, "folder"), (1, "npy")):
        folders = [tmp_path / f"{number}{index}" for index in range(len(variants))]
        for folder in folders:
            folder.mkdir()
        write: Callable[[Images, Path], Path] = (
            (lambda x, at: pack({f"{i}.bmp": encode(one, "BMP") for i, one in enumerate(x)}, "folder", at))
            if kind == "folder"
            else (lambda x, at: save(x, "npy", at))
        )
        found = [open_source(write(x, at)).digest() for x, at in zip(variants, folders, strict=True)]
        assert len(set(found)) == len(variants)


def test_bytes_cannot_move_between_images(tmp_path: Path) -> None:
    whole = encode(some_images(1)[0], "BMP")
    pack({"a.bmp": whole + whole, "b.bmp": whole}, "folder", tmp_path / "one")
    pack({"a.bmp": whole, "b.bmp": whole + whole}, "folder", tmp_path / "other")
    one, other = (open_source(tmp_path / name / "folder") for name in ("one", "other"))
    assert one.digest() != other.digest()


@pytest.mark.parametrize("kind", CONTAINERS)
def test_other_files_are_counted_not_read(kind: str, tmp_path: Path) -> None:
    image = some_images(1)[0]
    files = {"a/1.PNG": encode(image), "2.JpG": encode(image, "JPEG"), "b/c/3.WebP": encode(image, "WEBP")}
    found = open_source(pack(files | dict.fromkeys(OTHERS, b"no image"), kind, tmp_path))
    assert found.keys() == ["2.JpG", "a/1.PNG", "b/c/3.WebP"]
    assert found.skipped == len(OTHERS)
    assert len(list(found.images())) == 3


def test_mixed_sizes_have_no_size(tmp_path: Path) -> None:
    files = {"a.png": encode(some_images(1, 8)[0]), "b.png": encode(some_images(1, 9)[0])}
    found = open_source(pack(files, "folder", tmp_path))
    assert found.size() is None
    assert [image.shape for image in found.images()] == [(8, 8, 3), (9, 9, 3)]


@pytest.mark.parametrize("kind", CONTAINERS)
@pytest.mark.parametrize("files", ({}, {"readme.txt": b"x"}, {"inner.zip": b"PK\5\6" + bytes(18)}), ids=len)
def test_nothing_to_read_is_an_error(kind: str, files: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    path = pack(files, kind, tmp_path)
    with pytest.raises(UserError, match=f"no images here, and {len(files)} other files") as caught:
        open_source(path)
    assert caught.value.where == str(path) and caught.value.hint


@pytest.mark.parametrize("kind", CONTAINERS)
def test_damage_names_the_image_and_not_before_it_is_reached(kind: str, tmp_path: Path) -> None:
    files = as_files(some_images())
    files["1/001.png"] = files["1/001.png"][:-20]
    path = pack(files, kind, tmp_path)
    assert len(list(open_source(path).images(0, 4))) == 4
    with pytest.raises(UserError, match="image cannot be read") as caught:
        list(open_source(path).images())
    assert caught.value.where == f"{path}/1/001.png"
    assert "\n" not in str(caught.value)


def test_a_path_that_is_no_source(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file or folder"):
        open_source(tmp_path / "absent")
    (tmp_path / "one.PNG").write_bytes(encode(some_images(1)[0]))
    with pytest.raises(UserError, match="Give the folder that it lies in"):
        open_source(str(tmp_path / "one.PNG"))
    (tmp_path / "weights.pt").write_bytes(b"")
    with pytest.raises(UserError, match=r"Known: folders, and files in \.npy, \.npz, \.zip, \.tar"):
        open_source(tmp_path / "weights.pt")


@pytest.mark.parametrize("ending", (".zip", ".tar", ".tar.gz", ".TGZ", ".npy", ".NPZ"))
@given(
    noise=st.binary(max_size=600),
    like=st.sampled_from((b"", b"PK\3\4", b"\x1f\x8b\x08\0", b"\x93NUMPY\1\0", bytes(99))),
)
@settings(max_examples=40)
def test_noise_is_never_a_source(
    ending: str, noise: bytes, like: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("noise") / f"noise{ending}"
    path.write_bytes(like + noise)
    with pytest.raises(UserError):
        open_source(path)


@pytest.mark.parametrize("kind", (*CONTAINERS[1:], *ARRAYS))
@given(data=st.data())
@settings(max_examples=40)
def test_a_damaged_file_is_an_error_or_still_holds_images(
    kind: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    images = some_images(3, 5)
    path = save(images, kind, folder) if kind in ARRAYS else pack(as_files(images), kind, folder)
    whole = bytearray(path.read_bytes())
    cut = data.draw(st.integers(0, len(whole)), label="length")
    for position in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=3), label="positions"):
        whole[position] ^= data.draw(st.integers(1, 255), label="mask")
    path.write_bytes(whole[:cut])
    try:
        found = open_source(path)
        sizes = {image.shape for image in found.images()}
        assert found.digest() and sizes
    except UserError as error:
        assert error.where and error.where.startswith(str(path))


def test_scenes_are_rendered_as_the_split_says() -> None:
    found = scenes_source("reference", 600)
    assert np.array_equal(np.stack(list(found.images(250, 520))), scenes.images("reference", range(250, 520)))
    assert found.name == "scenes/reference"
    assert found.keys()[-1] == "00000599"
    assert scenes_source("heldout", 600).digest() != found.digest()


def test_scenes_that_do_not_exist() -> None:
    with pytest.raises(UserError, match="at least one image"):
        scenes_source("reference", 0)
    with pytest.raises(UserError, match='outside the split "train"'):
        scenes_source("train", scenes.TRAIN_IMAGES + 1)
    assert len(scenes_source("train", scenes.TRAIN_IMAGES)) == scenes.TRAIN_IMAGES
    with pytest.raises(UserError, match="resolution of at least 8"):
        scenes_source("train", 1, 4)
