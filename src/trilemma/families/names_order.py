"""The order of files that are numbered in their names, whether the numbers are padded with zeros or not. No torch.

By code points ``10.png`` comes before ``2.png``; here numbers in names count as numbers. Nothing else moves: two names
change places only where both have digits at the same place. Names that are all of one length stay as they are: they are
padded already, in decimal or in hexadecimal.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_PARTS = re.compile(r"[0-9]+|[^0-9]")
Part = tuple[str, int, str]


def names_order(names: Sequence[str]) -> list[int]:
    """Returns the places of the names in their order: 2 before 10."""
    if len(set(map(len, names))) == 1:
        return sorted(range(len(names)), key=names.__getitem__)
    return sorted(range(len(names)), key=lambda place: natural_key(names[place]))


def natural_key(name: str) -> tuple[list[Part], int, str]:
    """Returns what a name is sorted by: its letters and the numbers between them.

    Two names with the same numbers differ in zeros alone; the shorter is first.
    """
    return [_part(part) for part in _PARTS.findall(name)], len(name), name


def _part(part: str) -> Part:
    """A number is compared by its length, then by its digits: as an integer, of which Python limits the length."""
    if not "0" <= part[0] <= "9":
        return part, 0, ""
    digits = part.lstrip("0")
    return "0", len(digits), digits  # before or after a letter as any digit is
