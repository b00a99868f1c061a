"""Any source of images, behind one interface: folders, archives and arrays (Scenes: see ``scenes_source``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trilemma.data.array_file import open_npy, open_npz
from trilemma.data.folder import open_folder
from trilemma.data.names import IMAGE_ENDINGS
from trilemma.data.tar_archive import TAR_ENDINGS, open_tar
from trilemma.data.zip_archive import open_zip
from trilemma.errors import UserError


class ImageSource(Protocol):
    """A finite, ordered set of images. Every method may raise UserError, naming the image at fault."""

    @property
    def name(self) -> str:
        """What was given, for people."""

    @property
    def skipped(self) -> int:
        """How many files were passed over, because their names are hidden or are not those of images."""

    def __len__(self) -> int: ...

    def keys(self) -> list[str]:
        """Returns the images' stable names, sorted: relative posix paths, or numbers of fixed width."""

    def digest(self) -> str:
        """Returns the sha256 over the images in order, 64 hex characters: never over names, times or containers.

        Encoded images count by their files' bytes, arrays and Scenes by their pixels.
        """

    def size(self) -> tuple[int, int] | None:
        """Returns (H, W) of every image, or None where they differ."""

    def images(self, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """Yields the images of ``keys()[start:stop]``, uint8 (H, W, 3), RGB, perhaps read-only."""


_FORMATS: dict[tuple[str, ...], Callable[[Path], ImageSource]] = {
    (".npy",): open_npy,
    (".npz",): open_npz,
    (".zip",): open_zip,
    TAR_ENDINGS: open_tar,
}


def open_source(path: Path | str) -> ImageSource:
    """Returns the images of a folder, an ``.npz`` in the ADM layout, an ``.npy``, or a zip or tar archive.

    Nothing is decoded yet: damage inside is found by ``digest``, ``size`` and ``images``.

    Raises:
        UserError: there is nothing at the path, it is of no known kind, or it holds no images.
    """
    path = Path(path)
    if path.is_dir():
        return open_folder(path)
    if not path.exists():
        raise UserError("there is no such file or folder.", where=str(path))
    for endings, opener in _FORMATS.items():
        if path.name.lower().endswith(endings):
            return opener(path)
    raise _unknown(path)


def _unknown(path: Path) -> UserError:
    if path.name.lower().endswith(IMAGE_ENDINGS):
        return UserError("this is one image.", where=str(path), hint="Give the folder that it lies in.")
    known = ", ".join(ending for endings in _FORMATS for ending in endings)
    return UserError("this is no source of images.", where=str(path), hint=f"Known: folders, and files in {known}.")
