"""What a protocol takes its pictures and prompts from: its data set, and the files beside it."""

from __future__ import annotations

import functools
from pathlib import Path

from trilemma.data.datasets import DataSet, open_data_set
from trilemma.data.home import data_folders
from trilemma.data.located import anchored
from trilemma.errors import UserError
from trilemma.identity import file_digest
from trilemma.protocol import Protocol


def data_of(protocol: Protocol) -> DataSet:
    """Returns the data set of a protocol, opened once; a folder's path is relative to the protocol's file.

    Raises:
        UserError: there is no data set of that name.
    """
    return data_at(protocol.data, protocol.home)


def data_at(name: str, home: Path | None) -> DataSet:
    """Returns the data set of a name or of a folder's path, which is relative to ``home``; see :func:`data_of`."""
    return _opened(anchored(name, home), tuple(data_folders()))


@functools.lru_cache(maxsize=4)
def _opened(name: str, folders: tuple[Path, ...]) -> DataSet:
    """What a data set has read is kept with it; one that is looked for elsewhere is another."""
    return open_data_set(name)


def find_file(protocol: Protocol, name: str, sha256: str | None) -> Path | None:
    """Returns a file that a protocol names, beside the protocol's own or among the data sets, or None.

    Raises:
        UserError: the file has another sha256 than the protocol says.
    """
    path = next((place for place in places(protocol, name) if place.is_file()), None)
    if path is not None and sha256 is not None and (found := file_digest(path)) != sha256:
        raise UserError(
            f"this is not the file that the protocol names: its sha256 is {found}, not {sha256}.", where=str(path)
        )
    return path


def places(protocol: Protocol, name: str) -> list[Path]:
    """Returns where a file that a protocol names is looked for, in this order."""
    return [folder / name for folder in ([protocol.home] if protocol.home is not None else []) + data_folders()]
