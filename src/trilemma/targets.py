"""Functions that are named as ``package.module:function``, and imported when they are first needed."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trilemma.errors import UserError


def imported(target: str, where: str, beside: Path | None = None) -> Callable[..., Any]:
    """Returns the function that a target names.

    Args:
        target: ``package.module:function``.
        where: the place that names it, for the error.
        beside: a folder whose modules can be named as well.

    Raises:
        UserError: there is no such module, or it has no such function. What is missing inside the module is its own
            ModuleNotFoundError.
    """
    module_name, _, function = target.partition(":")
    if beside is not None and str(beside) not in sys.path:
        sys.path.append(str(beside))  # last: a file beside a card must shadow nothing that is installed
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        hint = "Put it beside the card, or install it."
        raise UserError(f'cannot import "{module_name}".', where=where, hint=hint) from None
    found: Callable[..., Any] | None = getattr(module, function, None)
    if found is None or not callable(found):
        raise UserError(f'"{module_name}" has no function "{function}".', where=where)
    return found
