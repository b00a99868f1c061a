"""The one exception that a user is meant to see, and the suggestion of a name that was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake in what the user gave: printed without a traceback, exit code 2.

    Args:
        what: one sentence that says what is wrong.
        where: the file, key or flag at fault.
        hint: what to do about it.
    """

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        self.what = what
        self.where = where
        self.hint = hint
        super().__init__(what)

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        advice = f" {self.hint}" if self.hint else ""
        return f"{place}{self.what}{advice}"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.what, self.where, self.hint)


def _rebuild(what: str, where: str | None, hint: str | None) -> UserError:
    return UserError(what, where=where, hint=hint)


def suggest(name: str, known: Iterable[str]) -> str:
    """Returns a hint such as ``Did you mean "gan"? Known: gan, var.``"""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    guess = f'Did you mean "{near[0]}"? ' if near else ""
    return f"{guess}Known: {', '.join(names) or 'none'}."
