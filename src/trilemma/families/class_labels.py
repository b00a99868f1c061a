"""What class a prompt asks for: of a model that knows classes by number, every prompt is one, always the same.

A trained model takes the names of its classes, or ``class N``, and nothing else. Of one whose weights are random the
class means nothing: it is the prompt's digest, modulo the number of classes. The empty prompt is the null class where a
model was trained with one, for guidance. Elsewhere a trained model draws a class, and to one with random weights it is
a text like any other.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from trilemma.data.imagenet import imagenet_classes
from trilemma.errors import UserError
from trilemma.identity import digest

if TYPE_CHECKING:
    from trilemma.card import Card

_NUMBERED = re.compile(r"class (\d+)")


def class_of(prompt: str, classes: int) -> int:
    """Returns the class of a prompt to a model with random weights, in [0, classes)."""
    return int(digest(["class", prompt])[:16], 16) % classes


def labels_of(prompts: Sequence[str], classes: int, names: Mapping[str, int]) -> list[int | None]:
    """Returns the classes of prompts for a trained model; None for the empty prompt.

    A prompt is a class's name, of ``names`` and in any case, or ``class N``.

    Raises:
        UserError: a prompt is neither: an image of some other class would pass for what was asked for.
    """
    return [_label_of(prompt, classes, names) if prompt else None for prompt in prompts]


def class_of_seed(seed: int, classes: int) -> int:
    """Returns the class of an image without a prompt, where a model has no null class: drawn evenly by the seed."""
    return int(digest(["class of seed", seed])[:16], 16) % classes


def numbered(groups: Iterable[Iterable[str]]) -> dict[str, int]:
    """Returns lower-case name → class for the names of each class in turn; what would name two classes names none."""
    found: dict[str, set[int]] = {}
    for number, names in enumerate(groups):
        for name in filter(None, map(str.strip, names)):
            found.setdefault(name.lower(), set()).add(number)
    return {name: numbers.pop() for name, numbers in found.items() if len(numbers) == 1}


def class_names(card: Card, classes: int) -> dict[str, int]:
    """Returns lower-case name → class as ``options.classes`` gives them: a list in the classes' order, or "imagenet".

    A class with several names has them in one text, separated by commas; the whole text is a name too.

    Raises:
        UserError: the option is neither, or has another number of classes than the model.
    """
    given = card.options.get("classes", [])
    where = f"{card.path}: options.classes"
    names = list(imagenet_classes()) if given == "imagenet" else given
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError('must be a list of names, or "imagenet".', where=where)
    if names and len(names) != classes:
        raise UserError(f"these are {len(names)} classes; the model has {classes}.", where=where)
    return numbered([name] if given == "imagenet" else [name, *name.split(",")] for name in names)


def _label_of(prompt: str, classes: int, names: Mapping[str, int]) -> int:
    wanted = prompt.strip().lower()
    if wanted in names:
        return names[wanted]
    matched = _NUMBERED.fullmatch(wanted)
    if matched is None or int(matched[1]) >= classes:
        near = difflib.get_close_matches(wanted, names, n=1)
        guess = f'Did you mean "{near[0]}"? ' if near else ""
        hint = f'{guess}A prompt is a name of a class, or "class N" with N from 0 to {classes - 1}.'
        raise UserError(f'"{prompt}" is none of the {classes} classes of this model.', hint=hint)
    return int(matched[1])
