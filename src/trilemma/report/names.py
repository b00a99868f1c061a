"""Names and reasons inside sentences and figures: they are other people's text, of any length and direction."""

from __future__ import annotations

# What turns the direction of all text after it; inside an element of its own a name may keep it, in a sentence not.
_TURNS = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
LONGEST_NAME = 40
LONGEST_LABEL = 26
LONGEST_REASON = 200
"""All of a reason stands among the failures and in the notes to the measurements."""


def brief(text: str, longest: int = LONGEST_NAME) -> str:
    """Returns the text for the middle of a sentence: without marks that turn its direction, cut at ``longest``."""
    plain = text.translate(_TURNS)
    return plain if len(plain) <= longest else f"{plain[: longest - 1]}…"


def label(text: str) -> str:
    """Returns the text for matplotlib, to which a pair of dollar signs would mean a formula."""
    return brief(text, LONGEST_LABEL).replace("$", r"\$")
