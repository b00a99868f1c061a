"""CIFAR-10 as it was published in plain bytes: 60,000 pictures of 32x32 in ten classes.

Format: https://www.cs.toronto.edu/~kriz/cifar.html, "binary version": 10,000 records a file, each a byte for the class
and 1,024 bytes for each of red, green and blue. The other versions are pickles, and are not read.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trilemma.data.damage import reading
from trilemma.data.datasets import Indices
from trilemma.data.home import data_folders
from trilemma.data.rows import rows_inside
from trilemma.errors import UserError, suggest

SIDE = 32
RECORD = 1 + 3 * SIDE**2
FOLDERS = ("cifar10", "cifar-10-batches-bin")
FILES = {"train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)), "test": ("test_batch.bin",)}
URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
RECORDS = 10_000  # in a file


class Cifar10:
    """The splits "train" and "test"; see ``datasets.DataSet`` for what it promises."""

    name = "cifar10"
    version = 1
    resolution = SIDE
    classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

    def __init__(self) -> None:
        self._records: dict[str, NDArray[np.uint8]] = {}

    def count(self, split: str) -> int:
        """Returns how many pictures a split has; raises UserError where the files are missing or damaged."""
        return len(self._of(split))

    def images(self, split: str, indices: Indices, resolution: int) -> NDArray[np.uint8]:
        """Returns pictures as uint8 ``(N, 32, 32, 3)``; there is no other resolution."""
        if resolution != SIDE:
            raise UserError(f"{self.name} has pictures of {SIDE}x{SIDE}, not {resolution}x{resolution}.")
        planes_N3HW = self._rows(split, indices)[:, 1:].reshape(-1, 3, SIDE, SIDE)
        return np.ascontiguousarray(planes_N3HW.transpose(0, 2, 3, 1))

    def prompts(self, split: str, indices: Indices) -> list[str]:
        """Returns the class names of pictures."""
        return [self.classes[label] for label in self.labels(split, indices)]

    def labels(self, split: str, indices: Indices) -> NDArray[np.int64]:
        """Returns the classes of pictures."""
        return self._rows(split, indices)[:, 0].astype(np.int64)

    def _rows(self, split: str, indices: Indices) -> NDArray[np.uint8]:
        records = self._of(split)
        return records[rows_inside(indices, len(records), self.name, split)]

    def _of(self, split: str) -> NDArray[np.uint8]:
        if split not in FILES:
            raise UserError(f'{self.name} has no split "{split}".', hint=suggest(split, FILES))
        if split not in self._records:
            self._records[split] = np.concatenate([_read(self._folder / name) for name in FILES[split]])
        return self._records[split]

    @cached_property
    def _folder(self) -> Path:
        places = [folder / name for folder in data_folders() for name in FOLDERS]
        found = next((place for place in places if (place / FILES["test"][0]).is_file()), None)
        if found is None:
            raise UserError(
                f"the files of {self.name} are missing.",
                hint=f"Looked in {', '.join(map(str, places))}. Unpack {URL} there.",
            )
        return found


def _read(path: Path) -> NDArray[np.uint8]:
    where = str(path)
    with reading("file", where):
        size = path.stat().st_size
        if size != RECORDS * RECORD:
            raise ValueError(f"{size:,} bytes are not {RECORDS:,} records of {RECORD:,}")
        records = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, RECORD)
    if records[:, 0].max() >= len(Cifar10.classes):
        raise UserError(f"there are {len(Cifar10.classes)} classes, and a label {records[:, 0].max()}.", where=where)
    return records


def open_cifar10(download: bool = False) -> Cifar10:
    """Returns CIFAR-10: 50,000 and 10,000 pictures. Its page has them; nothing is downloaded."""
    return Cifar10()
