"""A folder of images as a data set: a folder for each split, and in it, where there are classes, one for each class.

``ROOT/SPLIT/CLASS/image.png`` or ``ROOT/SPLIT/image.png``; the split "all" is everything under the root, without
classes, and "first-half" and "second-half" are that in two parts which share no picture. A picture's prompt is the name
of its class.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np

from trilemma.data.damage import reading
from trilemma.data.folder import open_folder
from trilemma.data.mixed import NO_CLASS, MixedData, MixedSplit
from trilemma.data.names import is_hidden
from trilemma.data.ordered import in_runs
from trilemma.errors import UserError, suggest
from trilemma.identity import digest, file_digest

ALL = "all"
HALVES = ("first-half", "second-half")


class ImageFolder(MixedData):
    """Splits of a folder; see ``datasets.DataSet`` for what it promises."""

    def __init__(self, name: str, root: Path) -> None:
        self.name, self.root = name, root
        self._splits: dict[str, MixedSplit] = {}

    @cached_property
    def version(self) -> int:
        """A number that changes with the pictures' bytes and names, not with the folder's place or any times."""
        # As `score` and `stats`, every start reads all of it: a digest that is kept by sizes and times would pass what
        # was copied in with its times for what lay there before. Names count too, for they tell split, class and order.
        keys = open_folder(self._found_root).keys()
        sums = in_runs(self._sum, keys)
        return int(digest(list(zip(keys, sums, strict=True)))[:12], 16)

    def _sum(self, key: str) -> str:
        path = self.root / key
        with reading("file", str(path)):
            return file_digest(path)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes' folders, of all splits together."""
        return self.class_folders

    @cached_property
    def class_folders(self) -> tuple[str, ...]:
        """The names of the classes' folders in the order of the labels."""
        return self._listed_classes()

    def _listed_classes(self) -> tuple[str, ...]:
        splits = [self._found_root / split for split in _folders(self._found_root)]
        return tuple(sorted({name for split in splits for name in _folders(split)}))

    @property
    def _found_root(self) -> Path:
        if not self.root.is_dir():
            raise UserError(f'the pictures of "{self.name}" are missing.', hint=f"Looked in {self.root}.")
        return self.root

    def _of(self, split: str) -> MixedSplit:
        if split not in self._splits:
            self._splits[split] = self._opened(split, _folders(self._found_root))
        return self._splits[split]

    def _opened(self, split: str, folders: list[str]) -> MixedSplit:
        name = f"{self.name}: {split}"
        if split == ALL:
            return _split(name, self.root, {})
        if split in folders:
            return _split(name, self.root / split, {name: label for label, name in enumerate(self.class_folders)})
        if split in HALVES:
            whole = self._of(ALL)
            return MixedSplit(name, whole.files, whole.labels_N, part=slice(HALVES.index(split), None, len(HALVES)))
        raise UserError(f'"{self.name}" has no split "{split}".', hint=suggest(split, [ALL, *HALVES, *folders]))


def _split(name: str, folder: Path, labels: dict[str, int]) -> MixedSplit:
    files = open_folder(folder)
    tops = [key.partition("/")[0] if "/" in key else "" for key in files.keys()]
    return MixedSplit(name, files, np.array([labels.get(top, NO_CLASS) for top in tops], dtype=np.int64))


def _folders(folder: Path) -> list[str]:
    with reading("folder", str(folder)):
        return sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not is_hidden(entry.name))


def open_image_folder(path: str) -> ImageFolder:
    """Returns the pictures of a folder as a data set; nothing is listed yet."""
    return ImageFolder(path, Path(path).expanduser())
