"""Writes a workspace to begin with: templates that the package carries, as they are."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

from trilemma.errors import UserError

ENDING = ".template"
"""Of every template: what they are for others, Python or a list of what git ignores, they are not for this package."""


def write_workspace(root: Path) -> list[PurePosixPath]:
    """Puts the templates into a folder, which is made if need be, and returns their paths in it.

    Raises:
        UserError: one of the files is there already (then nothing is written), or the folder cannot be written to.
    """
    files = dict(_templates(resources.files("trilemma") / "templates", PurePosixPath()))
    there = next((root / name for name in files if (root / name).exists()), None)
    if there is not None:
        hint = "Name an empty folder: trilemma init FOLDER."
        raise UserError("this is there already; nothing was written.", where=str(there), hint=hint)
    try:
        for name, text in files.items():
            _write(root / name, text)
    except OSError as error:
        raise UserError(f"cannot write here: {error}.", where=str(root)) from None
    return list(files)


def _templates(folder: Traversable, inside: PurePosixPath) -> Iterator[tuple[PurePosixPath, str]]:
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        if entry.is_dir():
            yield from _templates(entry, inside / entry.name)
        elif entry.name.endswith(ENDING):
            yield inside / entry.name.removesuffix(ENDING), entry.read_text(encoding="utf-8")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8", newline="\n") as file:  # never over what somebody else has just put there
        file.write(text)
