"""A folder of Parquet files as a data set, in the layout that the Hugging Face hub publishes; read by pyarrow alone."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

from trilemma.data.damage import reading
from trilemma.data.located import Located, split_of
from trilemma.data.mixed import MixedData, MixedSplit
from trilemma.data.parquet_files import splits_of
from trilemma.data.parquet_images import ParquetImages
from trilemma.errors import UserError
from trilemma.identity import digest

_TAIL = 8  # the footer's length and a magic word


class ParquetData(MixedData):
    """Splits of Parquet files; see ``datasets.DataSet`` for what it promises.

    A picture's prompt is its caption where there is a column of captions, or else the name of its class.
    """

    def __init__(self, found: Located) -> None:
        self.name = found.name
        self._located = found
        self._first = _first(found)
        self._splits: dict[str, MixedSplit] = {}

    @cached_property
    def version(self) -> int:
        """A number that changes with the files' footers, which know where every column begins and ends."""
        files = [path for paths in self._files().values() for path in paths]
        told = [(path.name, path.stat().st_size, _footer(path)) for path in sorted(files)]
        return int(digest(told)[:12], 16)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes as the files' metadata have them."""
        files = self._files()
        return self.source(next(iter(files))).columns.classes if files else ()

    def source(self, split: str | None = None) -> ParquetImages:
        """Returns the pictures of a split as they are stored.

        Args:
            split: or else the one that the name gives, or the only one.

        Raises:
            UserError: there is no such split, or none is named and there are several.
        """
        files = self._files()
        wanted = split_of(self._located, files, split)
        return ParquetImages(self.name, files[wanted], self._located.options, self._first)

    def _of(self, split: str) -> MixedSplit:
        if split not in self._splits:
            self._splits[split] = MixedSplit.of(f"{self.name}: {split}", self.source(split))
        return self._splits[split]

    def _files(self) -> dict[str, list[Path]]:
        """Returns the files of every split that is at hand."""
        folder = self._located.path
        assert folder is not None
        if not folder.is_dir():
            raise UserError(f'the pictures of "{self.name}" are missing.', hint=f"Looked in {folder}.")
        return splits_of(folder, self._located.options.get("config"), self.name)


def _first(found: Located) -> int | None:
    told = found.options.get("first")
    if told is not None and not (told.isdecimal() and int(told) > 0):
        raise UserError('"first" is a number of pictures.', where=found.name)
    return None if told is None else int(told)


def _footer(path: Path) -> str:
    """Returns the sha256 of the footer, or of what is in its place: whether it is one is found when it is read."""
    with reading("Parquet file", str(path)), path.open("rb") as file:
        end = file.seek(0, 2)
        file.seek(max(0, end - _TAIL))
        length = int.from_bytes(file.read(4), "little")
        file.seek(max(0, end - _TAIL - length))
        return hashlib.sha256(file.read(length + _TAIL)).hexdigest()
