"""Which Python a factory runs in, where its card names one. No torch."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from trilemma.errors import UserError

if TYPE_CHECKING:
    from trilemma.card import Card

# What would make another Python look for its modules where ours has them.
_OURS = ("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "PYTHONSTARTUP", "__PYVENV_LAUNCHER__", "VIRTUAL_ENV")


def interpreter(card: Card) -> str:
    """Returns the path of the card's ``python``: a path, relative to the card's folder, or a command's name.

    Its links are not followed: an environment is known by the path that its Python is started by.

    Raises:
        UserError: there is no such program.
    """
    assert card.python is not None
    named = Path(card.python).expanduser()
    plain = len(named.parts) == 1 and not named.is_absolute()
    found = shutil.which(card.python if plain else str(card.path / named))
    if found is None:
        raise UserError("there is no such Python here.", where=f"{card.path}: python = {card.python!r}")
    return found


def environment(card: Card) -> dict[str, str]:
    """Returns the variables that the card's Python starts with: ours, but for those that tell where modules are."""
    kept = {name: value for name, value in os.environ.items() if name not in _OURS}
    folders = [str(card.path / Path(folder).expanduser()) for folder in card.pythonpath]
    for folder in folders:
        if not Path(folder).exists():
            raise UserError("there is no such folder.", where=f"{card.path}: pythonpath: {folder}")
    # Unbuffered: what a model printed before it died is all that it leaves.
    return kept | {"PYTHONUNBUFFERED": "1"} | ({"PYTHONPATH": os.pathsep.join(folders)} if folders else {})
