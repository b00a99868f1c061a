"""A folder of images, nested as deep as it likes. Its class folders are part of the keys and mean nothing more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from trilemma.data import limits
from trilemma.data.damage import reading
from trilemma.data.image_files import ImageFiles
from trilemma.data.names import is_hidden, is_image
from trilemma.errors import UserError


def open_folder(folder: Path) -> ImageFiles[str]:
    """Returns the images under a folder. Hidden folders are not entered, and count as one file passed over.

    Raises:
        UserError: there are no images, a folder cannot be listed, or a link leads out of the folder or to another one.
    """
    return ImageFiles(str(folder), _walk(folder), _read)


def _walk(root: Path) -> Iterator[tuple[str, str]]:
    pending = [""]
    while pending:
        inside = pending.pop()
        for entry in _entries(root / inside):
            key = inside + entry.name
            if is_hidden(entry.name):
                yield key, entry.path
            elif entry.is_dir(follow_symlinks=False):
                pending.append(f"{key}/")
            else:
                _check(entry, key, root)
                yield key, entry.path


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with reading("folder", str(folder)), os.scandir(folder) as entries:
        return list(entries)


def _check(entry: os.DirEntry[str], key: str, root: Path) -> None:
    """Refuses what has an image's name without being a file of this folder, and folders behind links."""
    if entry.is_symlink():
        _check_link(Path(entry.path), key, root)
    elif is_image(key) and not entry.is_file():
        raise UserError("this is no regular file.", where=entry.path, hint="Remove it.")


def _check_link(link: Path, key: str, root: Path) -> None:
    if link.is_dir():
        raise UserError("this link leads to a folder.", where=str(link), hint="Give that folder, or copy it here.")
    if not is_image(key):
        return
    with reading("link", str(link)):
        target = link.resolve(strict=True)
    if not (target.is_relative_to(root.resolve()) and target.is_file()):
        raise UserError(f"this link leads out of the folder, to {target}.", where=str(link), hint="Copy the file here.")


def _read(path: str, where: str) -> bytes:
    with reading("file", where), open(path, "rb", buffering=0) as file:  # in half the time that Path takes for it
        size = os.fstat(file.fileno()).st_size
        limits.check_file_bytes(size, where)
        data = file.read(size + 1)  # one byte more than there should be: the call that says that there is none is saved
        return data if len(data) == size else data + file.read()
