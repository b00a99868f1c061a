"""WebDataset as a data set: tar shards, ``SPLIT-000000.tar``, read in place.

Format: https://github.com/webdataset/webdataset
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cached_property
from pathlib import Path

from trilemma.data.damage import reading
from trilemma.data.located import Located, split_of
from trilemma.data.mixed import MixedData, MixedSplit
from trilemma.data.prompts import read_prompts
from trilemma.data.shard_images import ShardImages
from trilemma.data.tar_archive import COMPRESSED_ENDINGS
from trilemma.errors import UserError
from trilemma.identity import digest

ENDING = ".tar"
ALL = "all"
MAX_SHARDS = 100_000
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
# A number behind a separator is the shard's, whatever the split's own name ends in: "val2014-00000" is of "val2014".
_NUMBERED = re.compile(r"(?P<split>.+?)[-_.]+\d+|(?P<bare>.*\D)\d+")


class WebData(MixedData):
    """Splits of shards; see ``datasets.DataSet`` for what it promises.

    A picture's prompt is its caption where every picture of the split has one, or else the name of its class.
    """

    def __init__(self, found: Located) -> None:
        self.name = found.name
        self._located = found
        self._sources: dict[str, ShardImages] = {}
        self._splits: dict[str, MixedSplit] = {}

    @cached_property
    def version(self) -> int:
        """A number that changes with names, sizes and places of the samples, and with their classes."""
        return int(digest([self.source(split).told() for split in sorted(self._shards)])[:12], 16)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes: the lines of the file that the option "classes" names, beside the shards."""
        file = self._located.options.get("classes")
        return tuple(read_prompts(self._folder / file)) if file is not None else ()

    def source(self, split: str | None = None) -> ShardImages:
        """Returns the pictures of a split as they are stored.

        Args:
            split: or else the one that the name gives, or the only one.

        Raises:
            UserError: there is no such split, or none is named and there are several; a shard is damaged.
        """
        wanted = split_of(self._located, self._shards, split)
        if wanted not in self._sources:
            self._sources[wanted] = ShardImages(self.name, self._shards[wanted])
        return self._sources[wanted]

    def _of(self, split: str) -> MixedSplit:
        if split not in self._splits:
            self._splits[split] = MixedSplit.of(f"{self.name}: {split}", self.source(split))
        return self._splits[split]

    @property
    def _path(self) -> Path:
        path = self._located.path
        assert path is not None
        return path

    @property
    def _folder(self) -> Path:
        return self._path if self._path.is_dir() else self._path.parent

    @cached_property
    def _shards(self) -> dict[str, list[Path]]:
        """The shards of every split, in order."""
        found: dict[str, list[Path]] = defaultdict(list)
        for shard in _in_folder(self._path) if self._path.is_dir() else _named(self._path):
            found[_split(shard.stem)].append(shard)
        return dict(found)


def _split(stem: str) -> str:
    """``train`` of ``train-000012``; shards that have numbers alone are one split."""
    numbered = _NUMBERED.fullmatch(stem)
    if numbered:
        return numbered["split"] or numbered["bare"]
    return ALL if stem.isdecimal() else stem


def _in_folder(folder: Path) -> list[Path]:
    with reading("folder", str(folder)):
        names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    shards = [folder / name for name in names if name.endswith(ENDING)]
    if not shards:
        packed = any(name.endswith(COMPRESSED_ENDINGS) for name in names)
        hint = "Unpack them with gunzip: only a plain tar is read in place." if packed else None
        raise UserError("there are no shards here.", where=str(folder), hint=hint)
    return shards


def _named(pattern: Path) -> list[Path]:
    """Returns the shards that a name with one ``{000000..000012}`` stands for; all of them must be there."""
    ranges = _RANGE.findall(pattern.name)
    if len(ranges) > 1:
        raise UserError("one range of numbers can stand here.", where=str(pattern))
    shards = [pattern] if not ranges else _expanded(pattern, *ranges[0])
    for shard in shards:
        if not shard.is_file() or not shard.name.endswith(ENDING):
            raise UserError("there is no such shard.", where=str(shard))
    return shards


def _expanded(pattern: Path, first: str, last: str) -> list[Path]:
    numbers = range(int(first), int(last) + 1)
    if not 0 < len(numbers) <= MAX_SHARDS:
        raise UserError(f"this stands for {len(numbers):,} shards; 1 to {MAX_SHARDS:,} are read.", where=str(pattern))
    return [pattern.with_name(_RANGE.sub(str(number).zfill(len(first)), pattern.name)) for number in numbers]
