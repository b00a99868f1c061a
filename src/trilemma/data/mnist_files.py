"""The idx files of a data set in MNIST's format: where they are looked for, what is checked, how they are fetched."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trilemma.data.home import VARIABLE, data_folders
from trilemma.data.idx_file import read_idx
from trilemma.errors import UserError

SIDE = 28
_IMAGES, _LABELS = "images-idx3-ubyte", "labels-idx1-ubyte"
_FILES = tuple(f"{stem}-{kind}" for stem in ("train", "t10k") for kind in (_IMAGES, _LABELS))
_RAW = "raw"  # what torchvision calls its folder


@dataclass(frozen=True, kw_only=True)
class Published:
    """One data set as it was published.

    Attributes:
        name: its own, and that of its folder.
        in_torchvision: what torchvision calls it; its folder there is called so too.
        classes: the names of the classes in the order of the labels.
        sha256: of the pixels followed by the labels, by the beginning of the files' names; empty where none is pinned.
    """

    name: str
    in_torchvision: str
    classes: tuple[str, ...]
    sha256: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Part:
    """The pictures (N, 28, 28) and labels (N,) of one pair of files, both uint8."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]


def read_part(published: Published, stem: str) -> Part:
    """Returns the pair of files whose names begin with ``stem``, "train" or "t10k".

    Raises:
        UserError: they are nowhere (the message says where they were looked for and how to get them), are damaged, do
            not go together, or are not the published ones.
    """
    folder = _folder(published)
    images = read_idx(_file(folder, f"{stem}-{_IMAGES}"), 3)
    path = _file(folder, f"{stem}-{_LABELS}")
    labels = read_idx(path, 1)
    if images.shape != (len(labels), SIDE, SIDE):
        raise UserError(f"{len(labels):,} labels do not go with pictures of shape {images.shape}.", where=str(path))
    if labels.max() >= len(published.classes):
        raise UserError(f"there are {len(published.classes)} classes, and a label {labels.max()}.", where=str(path))
    found = hashlib.sha256(images.data)
    found.update(labels.data)
    if published.sha256.get(stem, found.hexdigest()) != found.hexdigest():
        hint = "Remove the files and get them again."
        raise UserError(f"these are not the published pictures of {published.name}.", where=str(path), hint=hint)
    return Part(images=images, labels=labels)


def find(published: Published) -> Path | None:
    """Returns the first folder that has files of the data set, unread and unchecked, or None; one with all, if any."""
    found = [folder for folder in _places(published) if any(_path(folder, name) for name in _FILES)]
    return next((folder for folder in found if all(_path(folder, name) for name in _FILES)), next(iter(found), None))


def is_whole(published: Published) -> bool:
    """Whether all four files are in one folder, so that there is nothing to fetch.

    torchvision unpacks a file as soon as it has all of it: one that is still packed in its folder may be cut off.
    """
    return any(
        all((path := _path(folder, name)) and not (folder.name == _RAW and path.suffix) for name in _FILES)
        for folder in _places(published)
    )


def fetch(published: Published) -> None:
    """Downloads with torchvision, which knows the mirrors and the files' sums; raises UserError where that fails."""
    from torchvision import datasets

    root = data_folders()[0]
    try:
        getattr(datasets, published.in_torchvision)(str(root), download=True)
    except (OSError, RuntimeError) as error:
        raise UserError(f"cannot download {published.name}: {' '.join(str(error).split())}.", where=str(root)) from None


def _places(published: Published) -> list[Path]:
    """A folder of the data set's name, or as torchvision lays it out."""
    inside = (Path(published.name), Path(published.in_torchvision, _RAW))
    return [folder / name for folder in data_folders() for name in inside]


def _folder(published: Published) -> Path:
    folder = find(published)
    if folder is None:
        raise UserError(
            f"the files of {published.name} are missing.",
            hint=f"Looked in {', '.join(map(str, _places(published)))}. Put the four idx files into a folder"
            f' "{published.name}" and name the folder above it in ${VARIABLE}; or let them be downloaded (--download).',
        )
    return folder


def _file(folder: Path, name: str) -> Path:
    path = _path(folder, name)
    if path is None:
        hint = "It may also be packed, as .gz; or let what is missing be downloaded (--download)."
        raise UserError("this file is missing.", where=str(folder / name), hint=hint)
    return path


def _path(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)
