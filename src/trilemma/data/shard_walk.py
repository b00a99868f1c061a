"""What a WebDataset shard holds, found by one walk over the headers of a tar.

A sample is what follows one another under one name: ``000123.jpg``, ``000123.txt`` (its caption), ``000123.cls`` (the
number of its class), ``000123.json`` (either, under "caption" or "label"). Other endings are passed over.
Format: https://github.com/webdataset/webdataset#the-webdataset-format
"""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from trilemma.data.damage import reading
from trilemma.data.names import IMAGE_ENDINGS, check_text, is_hidden, member_key
from trilemma.data.prompts import COLUMNS
from trilemma.data.tar_archive import members_of
from trilemma.errors import UserError

IMAGES = tuple(ending.removeprefix(".") for ending in IMAGE_ENDINGS)
CAPTION, LABEL, TABLE = "txt", "cls", "json"
LABELS = ("label", "cls")
NO_LABEL = -1
NO_TEXT, PLAIN, IN_TABLE = 0, 1, 2
MAX_TEXT_BYTES = 2**20

Stat = tuple[int, int]  # size, and time of the last change in nanoseconds


@dataclass(frozen=True, kw_only=True, eq=False)
class ShardIndex:
    """The samples of one shard, sorted by name.

    Attributes:
        stat: of the file when it was walked over.
        names: of the images.
        numbers_N6: by image; the properties say what they are.
        skipped: members that belong to no image.
    """

    stat: Stat
    names: tuple[str, ...]
    numbers_N6: NDArray[np.int64]
    skipped: int

    @property
    def images_N2(self) -> NDArray[np.int64]:
        """Offset and size of each image."""
        return self.numbers_N6[:, :2]

    @property
    def texts_N3(self) -> NDArray[np.int64]:
        """Offset and size of what holds its caption, and how: NO_TEXT, PLAIN, or IN_TABLE for JSON."""
        return self.numbers_N6[:, 2:5]

    @property
    def labels_N(self) -> NDArray[np.int64]:
        """Classes; -1 where there is none."""
        return self.numbers_N6[:, 5]

    def told(self) -> list[Any]:
        """Returns, as plain data, what tells this shard from others."""
        return [self.stat[0], self.names, self.numbers_N6.tolist()]


@dataclass(kw_only=True)
class _Walk:
    """What has been found so far; ``sample`` is the one at hand, by ending."""

    file: BinaryIO
    where: str
    stem: str | None = None
    sample: dict[str, tuple[str, tarfile.TarInfo]] = field(default_factory=dict)
    rows: list[tuple[str, int, int, int, int, int, int]] = field(default_factory=list)
    skipped: int = 0

    def see(self, member: tarfile.TarInfo) -> None:
        name = member_key(member.name, self.where)
        check_text(name, self.where)
        folder, _, base = name.rpartition("/")
        if any(map(is_hidden, name.split("/"))):
            self.skipped += 1
            return
        start, _, ending = base.partition(".")
        if (stem := f"{folder}/{start}") != self.stem:
            self.close()
            self.stem = stem
        if not member.isreg() or member.issparse():
            raise UserError("this member is no plain file.", where=f"{self.where}/{name}", hint="Pack no links.")
        if ending.lower() in self.sample:
            raise UserError("this member is there twice.", where=f"{self.where}/{name}")
        self.sample[ending.lower()] = name, member

    def close(self) -> None:
        """Ends a sample."""
        sample, self.sample = self.sample, {}
        images = [ending for ending in IMAGES if ending in sample]
        if len(images) > 1:
            raise UserError("this sample has two images.", where=f"{self.where}/{sample[images[1]][0]}")
        if not images:
            self.skipped += len(sample)
            return
        name, member = sample[images[0]]
        table = self._table(sample)
        self.rows.append((name, member.offset_data, member.size, *_text(sample, table), self._label(sample, table)))

    def _table(self, sample: dict[str, tuple[str, tarfile.TarInfo]]) -> dict[str, Any]:
        if TABLE not in sample:
            return {}
        name, _ = sample[TABLE]
        with reading("member", f"{self.where}/{name}"):
            found = json.loads(self._read(sample[TABLE]))
        return found if isinstance(found, dict) else {}

    def _label(self, sample: dict[str, tuple[str, tarfile.TarInfo]], table: dict[str, Any]) -> int:
        if LABEL in sample:
            with reading("member", f"{self.where}/{sample[LABEL][0]}"):
                return _natural(int(self._read(sample[LABEL])))
        found = next((table[key] for key in LABELS if key in table), None)
        return _natural(found) if isinstance(found, int) else NO_LABEL

    def _read(self, one: tuple[str, tarfile.TarInfo]) -> bytes:
        member = one[1]
        if member.size > MAX_TEXT_BYTES:
            raise ValueError(f"it is larger than {MAX_TEXT_BYTES:,} bytes")
        self.file.seek(member.offset_data)
        return self.file.read(member.size)


def walked(file: BinaryIO, stat: Stat, where: str) -> ShardIndex:
    """Returns what an open shard holds.

    Raises:
        UserError: a member is no plain file, is there twice, or holds no label or table where one should be.
        ValueError: the archive is damaged.
    """
    walk = _Walk(file=file, where=where)
    for member in members_of(file):
        if not member.isdir():
            walk.see(member)
    walk.close()
    rows = sorted(walk.rows)
    names = tuple(row[0] for row in rows)
    twice = next((name for name, other in zip(names, names[1:], strict=False) if name == other), None)
    if twice is not None:
        raise UserError("this member is there twice.", where=f"{where}/{twice}")
    numbers_N6 = np.array([row[1:] for row in rows], dtype=np.int64).reshape(-1, 6)
    return ShardIndex(stat=stat, names=names, numbers_N6=numbers_N6, skipped=walk.skipped)


def _text(sample: dict[str, tuple[str, tarfile.TarInfo]], table: dict[str, Any]) -> tuple[int, int, int]:
    """Returns where a sample's caption lies, and how."""
    if CAPTION in sample:
        member = sample[CAPTION][1]
        return member.offset_data, member.size, PLAIN
    if any(isinstance(table.get(key), str) for key in COLUMNS):
        member = sample[TABLE][1]
        return member.offset_data, member.size, IN_TABLE
    return 0, 0, NO_TEXT


def _natural(label: int) -> int:
    if not 0 <= label < 2**31:
        raise ValueError(f"{label} is no number of a class")
    return label
