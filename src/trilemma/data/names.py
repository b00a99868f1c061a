"""Which files are images, told by their names, and what an image is called."""

from __future__ import annotations

from pathlib import PurePosixPath

from trilemma.errors import UserError

IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


def is_hidden(name: str) -> bool:
    """Returns whether one part of a path is hidden by convention: ``.git``, and ``._1.png`` of macOS archives."""
    return name.startswith(".")


def is_image(key: str) -> bool:
    """Returns whether a relative path has an image's ending, in either case, and no hidden part."""
    return key.lower().endswith(IMAGE_ENDINGS) and not any(map(is_hidden, key.split("/")))


def member_key(name: str, where: str) -> str:
    """Returns an archive member's name as a key: relative, posix, without ``./``.

    Raises:
        UserError: the name is absolute or climbs out with ``..``, and would be a trap for whoever makes a path of it.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise UserError(f"the member {name!a} points outside the archive.", where=where, hint="Pack it again.")
    return str(path)


def check_text(key: str, where: str) -> None:
    """Raises UserError where a name is not valid Unicode: it could be neither printed nor recorded."""
    try:
        key.encode()
    except UnicodeEncodeError:
        raise UserError(f"the name {key!a} is not valid Unicode.", where=where, hint="Rename the file.") from None


def index_key(index: int) -> str:
    """Returns the key of an image that has only a number: of fixed width, so that sorted keys are in its order."""
    return f"{index:08d}"
