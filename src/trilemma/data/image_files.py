"""A source of encoded images, wherever their bytes come from: folder and archives share all but listing and reading."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from trilemma.data import content
from trilemma.data.decoding import declared_size, decode
from trilemma.data.names import IMAGE_ENDINGS, check_text, is_image
from trilemma.data.ordered import in_order
from trilemma.errors import UserError

Handle = TypeVar("Handle")


class ImageFiles(Generic[Handle]):
    """Encoded images, sorted by key; see ``sources.ImageSource`` for what it promises.

    Args:
        name: what was given, for people.
        listed: key and handle of every file, images or not, in any order.
        read: returns a file's bytes from its handle and from the words that name it in an error; called in threads.

    Raises:
        UserError: none of the files is an image, two images have one name, or a name is not valid Unicode.
    """

    def __init__(self, name: str, listed: Iterable[tuple[str, Handle]], read: Callable[[Handle, str], bytes]) -> None:
        files = list(listed)
        self.name = name
        self._handles = _sorted_images(files, name)
        self._keys = list(self._handles)
        self._read = read
        self.skipped = len(files) - len(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def keys(self) -> list[str]:
        """Returns the images' relative paths, posix, sorted by code point."""
        return list(self._keys)

    def digest(self) -> str:
        """Returns the sha256 over the encoded images' bytes; the first call reads them all, and judges every header."""
        return self._survey[0]

    def size(self) -> tuple[int, int] | None:
        """Returns (H, W), or None where sizes differ; the first call reads all files, as that of :meth:`digest`."""
        return self._survey[1]

    def images(self, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """Yields the images of ``keys()[start:stop]``, uint8 (H, W, 3), decoded in threads a few ahead."""
        return in_order(self._decoded, self._keys[start:stop])

    @cached_property
    def _survey(self) -> tuple[str, tuple[int, int] | None]:
        parts, sizes = zip(*in_order(self._looked_at, self._keys), strict=True)
        return content.digest(parts), sizes[0] if len(set(sizes)) == 1 else None

    def _looked_at(self, key: str) -> tuple[bytes, tuple[int, int]]:
        data = self._bytes(key)
        return content.of_file(data), declared_size(data, self._where(key))

    def _decoded(self, key: str) -> NDArray[np.uint8]:
        return decode(self._bytes(key), self._where(key))

    def _bytes(self, key: str) -> bytes:
        return self._read(self._handles[key], self._where(key))

    def _where(self, key: str) -> str:
        return f"{self.name}/{key}"


def _sorted_images(files: list[tuple[str, Handle]], name: str) -> dict[str, Handle]:
    images: dict[str, Handle] = {}
    for key, handle in sorted((file for file in files if is_image(file[0])), key=lambda file: file[0]):
        check_text(key, name)
        if key in images:
            raise UserError(f'two images have the name "{key}".', where=name, hint="Pack one of them.")
        images[key] = handle
    if not images:
        raise _no_images(name, len(files))
    return images


def _no_images(name: str, others: int) -> UserError:
    return UserError(
        f"there are no images here, and {others} other files.",
        where=name,
        hint=f"Images end in {', '.join(IMAGE_ENDINGS)}; hidden files and archives inside are not looked into.",
    )
