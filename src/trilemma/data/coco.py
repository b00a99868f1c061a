"""COCO's pictures with one caption each: ``coco/annotations/captions_SPLIT.json`` and ``coco/SPLIT/*.jpg``.

Format: https://cocodataset.org/#format-data, "captions". A picture has five captions or more; that with the lowest id
is taken. Pictures come in an order that is drawn once and for all, so that the first of them are a sample.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trilemma.data import limits
from trilemma.data.damage import reading
from trilemma.data.datasets import Indices
from trilemma.data.decoding import decode
from trilemma.data.home import data_folders
from trilemma.data.names import is_image
from trilemma.data.ordered import in_order
from trilemma.data.rows import rows_inside
from trilemma.data.squares import square
from trilemma.errors import UserError, suggest

NAME = "coco"
SPLITS = ("train2014", "val2014", "train2017", "val2017")
MAX_BYTES = 2**28
ORDER_SEED = 0
URL = "https://cocodataset.org/#download"


@dataclass(frozen=True, kw_only=True)
class _Split:
    names: tuple[str, ...]
    captions: tuple[str, ...]


class Coco:
    """The splits of 2014 and 2017; see ``datasets.DataSet`` for what it promises. Pictures are cut to squares."""

    name = NAME
    version = 1
    resolution = None

    def __init__(self) -> None:
        self._splits: dict[str, _Split] = {}

    def count(self, split: str) -> int:
        """Returns how many pictures with a caption a split has; raises UserError where its captions are missing."""
        return len(self._of(split).names)

    def images(self, split: str, indices: Indices, resolution: int) -> NDArray[np.uint8]:
        """Returns pictures as squares, uint8 ``(N, resolution, resolution, 3)``."""
        names, folder = self._chosen(split, indices, self._of(split).names), _folder(split) / split
        found = list(in_order(lambda name: square(_read(folder / name), resolution), names))
        return np.stack(found) if found else np.empty((0, resolution, resolution, 3), np.uint8)

    def prompts(self, split: str, indices: Indices) -> list[str]:
        """Returns one caption for each picture."""
        return self._chosen(split, indices, self._of(split).captions)

    def labels(self, split: str, indices: Indices) -> NDArray[np.int64]:
        """Returns -1 for each picture: there are no classes."""
        return np.full(len(self._chosen(split, indices, self._of(split).names)), -1, dtype=np.int64)

    def check_pictures(self, split: str) -> None:
        """Raises UserError where a split's pictures are missing; that its first one is there tells that they are."""
        names, folder = self._of(split).names, _folder(split) / split
        if names and not (folder / names[0]).is_file():
            raise UserError(
                f"the pictures of {NAME}, {split}, are missing.", hint=f"Looked in {folder}. Get them: {URL}."
            )

    def _chosen(self, split: str, indices: Indices, of: tuple[str, ...]) -> list[str]:
        return [of[row] for row in rows_inside(indices, len(of), NAME, split)]

    def _of(self, split: str) -> _Split:
        if split not in SPLITS:
            raise UserError(f'{NAME} has no split "{split}".', hint=suggest(split, SPLITS))
        if split not in self._splits:
            self._splits[split] = _parsed(_folder(split) / "annotations" / f"captions_{split}.json")
        return self._splits[split]


def _folder(split: str) -> Path:
    places = [folder / NAME for folder in data_folders()]
    found = next((place for place in places if (place / "annotations" / f"captions_{split}.json").is_file()), None)
    if found is None:
        looked = ", ".join(str(place / "annotations" / f"captions_{split}.json") for place in places)
        raise UserError(f"the captions of {NAME}, {split}, are missing.", hint=f"Looked for {looked}. Get them: {URL}.")
    return found


def _parsed(path: Path) -> _Split:
    with reading("file of captions", str(path)):
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES:,} bytes")
        found = json.loads(path.read_bytes())
        names = {int(image["id"]): _name(image["file_name"]) for image in found["images"]}
        captions = _first_captions(found["annotations"])
    ids = np.random.default_rng(ORDER_SEED).permutation(sorted(names.keys() & captions.keys())).tolist()
    return _Split(names=tuple(names[i] for i in ids), captions=tuple(captions[i] for i in ids))


def _first_captions(annotations: list[dict[str, Any]]) -> dict[int, str]:
    """Returns picture → its caption with the lowest id, white space at its ends left out."""
    captions: dict[int, str] = {}
    for one in sorted(annotations, key=lambda one: int(one["id"])):
        caption = one["caption"].strip()
        if caption:
            captions.setdefault(int(one["image_id"]), caption)
    return captions


def _name(name: Any) -> str:
    if not isinstance(name, str) or "/" in name or "\\" in name or not is_image(name):
        raise ValueError(f"{name!r} is no picture's name")
    return name


def _read(path: Path) -> NDArray[np.uint8]:
    if not path.is_file():
        raise UserError("this picture is missing.", where=str(path), hint=f"Get it: {URL}.")
    with reading("file", str(path)):
        limits.check_file_bytes(path.stat().st_size, str(path))
        data = path.read_bytes()
    return decode(data, str(path))


def open_coco(download: bool = False) -> Coco:
    """Returns COCO. It is not downloaded: its parts are chosen on its page."""
    return Coco()
