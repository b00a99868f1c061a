"""A source of image files with names: folder and archives share all but listing and reading."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from trilemma.data.encoded import Encoded
from trilemma.data.names import IMAGE_ENDINGS, check_text, is_image
from trilemma.errors import UserError

Handle = TypeVar("Handle")


class ImageFiles(Encoded, Generic[Handle]):
    """Encoded images, sorted by key; see ``sources.ImageSource`` for what it promises.

    Args:
        name: what was given, for people.
        listed: key and handle of every file, images or not, in any order.
        read: returns a file's bytes from its handle and from the words that name it in an error; called in threads.

    Raises:
        UserError: none of the files is an image, two images have one name, or a name is not valid Unicode.
    """

    def __init__(self, name: str, listed: Iterable[tuple[str, Handle]], read: Callable[[Handle, str], bytes]) -> None:
        self.name = name
        images, self.skipped = _images(listed)
        if not images:
            raise _no_images(name, self.skipped)
        self._keys = [key for key, _ in images]
        self._handles = [handle for _, handle in images]
        self._read = read
        _check_keys(self._keys, name)

    def __len__(self) -> int:
        return len(self._keys)

    def keys(self) -> list[str]:
        """Returns the images' relative paths, posix, sorted by code point."""
        return list(self._keys)

    def _where(self, row: int) -> str:
        return f"{self.name}/{self._keys[row]}"

    def _bytes(self, row: int) -> bytes:
        return self._read(self._handles[row], self._where(row))


def _images(listed: Iterable[tuple[str, Handle]]) -> tuple[list[tuple[str, Handle]], int]:
    """Returns the images, sorted, and how many other files there are."""
    images, others = [], 0
    for file in listed:
        if is_image(file[0]):
            images.append(file)
        else:
            others += 1
    return sorted(images, key=lambda file: file[0]), others


def _check_keys(keys: list[str], name: str) -> None:
    before = None
    for key in keys:
        check_text(key, name)
        if key == before:
            raise UserError(f'two images have the name "{key}".', where=name, hint="Pack one of them.")
        before = key


def _no_images(name: str, others: int) -> UserError:
    return UserError(
        f"there are no images here, and {others} other files.",
        where=name,
        hint=f"Images end in {', '.join(IMAGE_ENDINGS)}; hidden files and archives inside are not looked into.",
    )
