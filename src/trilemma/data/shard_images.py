"""The images of WebDataset shards, read in place: nothing is unpacked, and what is held does not grow with them."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trilemma.data import limits
from trilemma.data.damage import reading
from trilemma.data.labelled import LabelledImages
from trilemma.data.prompts import COLUMNS
from trilemma.data.shard_index import index_of, stat_of
from trilemma.data.shard_walk import IN_TABLE, NO_TEXT, ShardIndex
from trilemma.errors import UserError


class ShardImages(LabelledImages):
    """The samples of some shards, by shard and name; see ``sources.ImageSource`` for what it promises.

    Args:
        name: what was given, for people.
        shards: tar files, in order.

    Raises:
        UserError: a shard is damaged, or there is no image in any.
    """

    def __init__(self, name: str, shards: Sequence[Path]) -> None:
        self.name = name
        self._shards = shards
        self._indices: list[ShardIndex] = [index_of(path) for path in shards]
        self._starts = list(accumulate((len(index.names) for index in self._indices), initial=0))
        self.skipped = sum(index.skipped for index in self._indices)
        if not len(self):
            raise UserError("there are no images in these shards.", where=name)

    def __len__(self) -> int:
        return self._starts[-1]

    def keys(self) -> list[str]:
        """Returns shard and member of every image."""
        pairs = zip(self._shards, self._indices, strict=True)
        return [f"{path.name}/{name}" for path, index in pairs for name in index.names]

    def told(self) -> list[object]:
        """Returns, as plain data, what tells these shards from others without reading an image."""
        return [[path.name, *index.told()] for path, index in zip(self._shards, self._indices, strict=True)]

    def labels(self) -> NDArray[np.int64]:
        """Returns the classes of all images, int64 (N,); -1 where there is none."""
        return np.concatenate([index.labels_N for index in self._indices])

    @property
    def has_captions(self) -> bool:
        """Whether every image has one."""
        return all((index.texts_N3[:, 2] != NO_TEXT).all() for index in self._indices)

    def captions(self, rows_N: NDArray[np.int64]) -> list[str]:
        """Returns the captions of images; raises UserError where one is empty or no text."""
        return [self._caption(row) for row in rows_N.tolist()]

    def _caption(self, row: int) -> str:
        shard, place = self._place(row)
        offset, size, kind = self._indices[shard].texts_N3[place].tolist()
        with reading("caption", self._where(row)):
            text = self._at(shard, offset, size).decode("utf-8-sig")
            found = json.loads(text) if kind == IN_TABLE else {COLUMNS[0]: text}
            caption = next(found[key] for key in COLUMNS if isinstance(found.get(key), str)).strip()
            if not caption:
                raise ValueError("it is empty")
            return str(caption)

    def _place(self, row: int) -> tuple[int, int]:
        """Returns the shard of an image, and its place there."""
        shard = bisect_right(self._starts, row) - 1
        return shard, row - self._starts[shard]

    def _where(self, row: int) -> str:
        shard, place = self._place(row)
        return f"{self._shards[shard]}/{self._indices[shard].names[place]}"

    def _bytes(self, row: int) -> bytes:
        shard, place = self._place(row)
        offset, size = self._indices[shard].images_N2[place].tolist()
        limits.check_file_bytes(size, self.name)
        with reading("member", self._where(row)):
            return self._at(shard, offset, size)

    def _at(self, shard: int, offset: int, size: int) -> bytes:
        with self._shards[shard].open("rb") as file:
            if stat_of(file) != self._indices[shard].stat:
                raise ValueError("the shard has changed since it was first read")
            file.seek(offset)
            return file.read(size)
