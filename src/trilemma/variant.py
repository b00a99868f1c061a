"""A model at other settings, as one types it: ``NAME@truncation=0.7+guidance_scale=2+bf16+compile``.

A model is not a point: its knobs, its precision and its compilation trade one corner for another. Each setting is a
competitor of its own, with a name that says what it is and that is safe as a file name.
"""

from __future__ import annotations

import re
from dataclasses import replace

from trilemma.card import PRECISIONS, SEPARATOR, Card, Precision
from trilemma.errors import UserError, suggest

COMPILED = "compile"
_KNOB = re.compile(r"([a-z_][a-z0-9_]*)=(-?[0-9.]+(?:e-?[0-9]+)?)")


def variant(card: Card, settings: str) -> Card:
    """Returns the card at the given settings, joined by "+": ``knob=value``, a precision, ``compile``.

    The name lists them in one order, so that one setting has one name; without any it is the card itself.

    Raises:
        UserError: a setting that is none of these, or one that is given twice.
    """
    knobs: dict[str, float | int] = {}
    words: set[str] = set()
    for part in settings.split("+"):
        matched = _KNOB.fullmatch(part)
        known = knobs if matched else words
        if (matched[1] if matched else part) in known:
            raise UserError(f'"{part}" is given twice.', where=f"{card.name}{SEPARATOR}{settings}")
        if matched:
            knobs[matched[1]] = number(matched[2], where=f"{card.name}{SEPARATOR}{settings}")
        elif part in (*PRECISIONS, COMPILED):
            words.add(part)
        else:
            hint = f"{suggest(part, (*PRECISIONS, COMPILED))} A knob is knob=value."
            raise UserError(f'"{part}" is no setting.', where=f"{card.name}{SEPARATOR}{settings}", hint=hint)
    return at(card, knobs=knobs, precision=_precision(words, card, settings), compiled=COMPILED in words or None)


def at(
    card: Card,
    *,
    knobs: dict[str, float | int] | None = None,
    precision: Precision | None = None,
    compiled: bool | None = None,
) -> Card:
    """Returns the card with these knobs, precision and compilation; None leaves the card's own."""
    given = {name: _shortest(value) for name, value in sorted((knobs or {}).items())}
    words = [f"{name}={value}" for name, value in given.items()]
    words += [precision] if precision not in (None, card.precision) else []
    words += [COMPILED] if compiled and not card.compile else []
    if not words:
        return card
    return replace(
        card,
        name=f"{card.name}{SEPARATOR}{'+'.join(words)}",
        knobs=card.knobs | given,
        precision=precision or card.precision,
        compile=card.compile or bool(compiled),
    )


def number(text: str, *, where: str) -> float | int:
    """Returns the value of a knob as one types it; raises UserError for what is no number."""
    try:
        return int(text) if text.lstrip("-").isdecimal() else float(text)
    except ValueError:
        raise UserError(f'"{text}" is no number.', where=where) from None


def _shortest(value: float | int) -> float | int:
    """Returns 2 for 2.0: one setting has one name."""
    return int(value) if float(value).is_integer() else value


def _precision(words: set[str], card: Card, settings: str) -> Precision | None:
    chosen = [word for word in PRECISIONS if word in words]
    if len(chosen) > 1:
        raise UserError(f"{' and '.join(chosen)} exclude one another.", where=f"{card.name}{SEPARATOR}{settings}")
    return chosen[0] if chosen else None
