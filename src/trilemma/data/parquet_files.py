"""Which Parquet files of a folder belong to which split, as the hub lays data sets out.

    CONFIG/SPLIT-00000-of-00012.parquet    as ``datasets`` writes it; the folder may be called ``data``, or not be there
    CONFIG/SPLIT/0000.parquet              as the hub converts it
    CONFIG/SPLIT.parquet                   one file for a split

Layout: https://huggingface.co/docs/hub/datasets-file-names-and-splits
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from trilemma.data.damage import reading
from trilemma.data.names import is_hidden
from trilemma.errors import UserError, suggest

ENDING = ".parquet"
_NUMBERED = re.compile(r"(?P<split>.+?)-(?P<number>\d+)-of-(?P<total>\d+)(-[0-9a-f]+)?")
_UNNAMED = ("", "data")  # where there is but one configuration, it has no name


class _File(NamedTuple):
    number: int
    total: int | None  # of how many it is one, where its name tells
    path: Path


def splits_of(folder: Path, config: str | None, name: str) -> dict[str, list[Path]]:
    """Returns the files of every split, in order.

    Args:
        folder: the one that holds them.
        config: the configuration, where there are several.
        name: of the data set, for errors.

    Raises:
        UserError: there are no Parquet files, several configurations of which none is named, or a split lacks a file.
    """
    found = _configurations(folder)
    if not found:
        raise UserError("there are no Parquet files here.", where=str(folder))
    chosen = found[_config(list(found), config, name)]
    return {split: _whole(files) for split, files in chosen.items()}


def whole_splits_of(folder: Path, config: str | None, name: str) -> dict[str, list[Path]]:
    """Returns the files of those splits that are certainly whole, of a folder that may hold any part of a repository.

    What was fetched file by file may lack any of them: there, a number without a total says nothing. The arguments are
    those of :func:`splits_of`.

    Raises:
        UserError: there are several configurations, and none is named.
    """
    found = _configurations(folder)
    if not found or (config is not None and config not in found):
        return {}
    chosen = found[_config(list(found), config, name)]
    return {split: _whole(files) for split, files in chosen.items() if _is_whole(files, files[-1].total)}


def _configurations(folder: Path) -> dict[str, dict[str, list[_File]]]:
    """Returns configuration → split → its files in order."""
    found: dict[str, dict[str, list[_File]]] = defaultdict(lambda: defaultdict(list))
    with reading("folder", str(folder)):
        files = sorted(path.relative_to(folder) for path in folder.rglob(f"*{ENDING}"))
    for file in files:
        if not any(map(is_hidden, file.parts)):
            config, split, number, total = _place(file)
            found[config][split].append(_File(number, total, folder / file))
    for splits in found.values():
        for numbered in splits.values():
            numbered.sort(key=lambda one: one.number)
    return found


def _place(file: Path) -> tuple[str, str, int, int | None]:
    """Returns configuration, split, number and how many files there are, where the name tells."""
    folder, stem = file.parent, file.stem
    if numbered := _NUMBERED.fullmatch(stem):
        return _config_of(folder), numbered["split"], int(numbered["number"]), int(numbered["total"])
    if stem.isdigit() and folder.name:
        return _config_of(folder.parent), folder.name, int(stem), None
    return _config_of(folder), stem, 0, 1


def _config_of(folder: Path) -> str:
    name = "" if folder == Path() else folder.as_posix()
    return "" if name in _UNNAMED else name


def _config(known: list[str], wanted: str | None, name: str) -> str:
    if wanted is None and len(known) == 1:
        return known[0]
    if wanted in known:
        return wanted
    named = [config for config in known if config]
    if wanted is None:
        raise UserError(f"there are several configurations here: {', '.join(named)}.", where=name, hint="Add config=…")
    raise UserError(f'there is no configuration "{wanted}".', where=name, hint=suggest(wanted, named))


def _whole(files: list[_File]) -> list[Path]:
    """Returns the files of a split; with one of them missing, the others would pass for all."""
    last = files[-1]
    total = last.total if last.total is not None else last.number + 1
    if not _is_whole(files, total):
        raise UserError(f"there are {len(files)} files of this split, not {total}.", where=str(last.path))
    return [file.path for file in files]


def _is_whole(files: list[_File], total: int | None) -> bool:
    return total is not None and [file.number for file in files] == list(range(total))
