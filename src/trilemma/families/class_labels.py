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
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trilemma.data.imagenet import CLASSES, imagenet_classes
from trilemma.errors import UserError
from trilemma.identity import digest

if TYPE_CHECKING:
    from trilemma.card import Card

_NUMBERED = re.compile(r"class (\d+)")
_MOST = 0.9
"""Classes of which more than this share have ImageNet's names are ImageNet's; synsets give 98.7 % of them."""


@dataclass(frozen=True, kw_only=True)
class Names:
    """Names of classes. ImageNet has a dog that is called "Cardigan" and a garment that is called "cardigan".

    Attributes:
        written: name → class for the names that, as they are written, one class alone has.
        lower: the same in lower case, for the names that one class alone has in any case.
    """

    written: Mapping[str, int] = field(default_factory=dict)
    lower: Mapping[str, int] = field(default_factory=dict)

    def find(self, name: str) -> int | None:
        """Returns the class of a name, first as it is written and then in any case; None where it names none."""
        return self.written.get(name, self.lower.get(name.lower()))

    def __or__(self, others: Names) -> Names:
        """Returns both, the others' meaning where they differ."""
        return Names(written={**self.written, **others.written}, lower={**self.lower, **others.lower})


def class_of(prompt: str, classes: int) -> int:
    """Returns the class of a prompt to a model with random weights, in [0, classes)."""
    return int(digest(["class", prompt])[:16], 16) % classes


def labels_of(prompts: Sequence[str], classes: int, names: Names) -> list[int | None]:
    """Returns the classes of prompts for a trained model; None for the empty prompt.

    A prompt is a class's name, of ``names``, or ``class N``.

    Raises:
        UserError: a prompt is neither: an image of some other class would pass for what was asked for.
    """
    return [_label_of(prompt, classes, names) if prompt else None for prompt in prompts]


def class_of_seed(seed: int, classes: int) -> int:
    """Returns the class of an image without a prompt, where a model has no null class: drawn evenly by the seed."""
    return int(digest(["class of seed", seed])[:16], 16) % classes


def numbered(groups: Iterable[Iterable[str]]) -> Names:
    """Returns the names of each class in turn; what would name two classes names none."""
    told = [(name.strip(), number) for number, names in enumerate(groups) for name in names if name.strip()]
    return Names(written=_of_one(told), lower=_of_one((name.lower(), number) for name, number in told))


def named_in_texts(texts: Sequence[str]) -> Names:
    """Returns the names of classes, one text for each, in which several are separated by commas; the whole is one too.

    ImageNet's synsets give several classes one name ("crane", "maillot"), which are told apart by torchvision's: these
    are what its data set calls the classes, and so they are names beside the synsets'.
    """
    found = numbered([text, *text.split(",")] for text in texts)
    if len(texts) != CLASSES:
        return found
    ours = imagenet_classes()
    known = {number: found.find(name) for number, name in enumerate(ours)}
    same = sum(number == label for number, label in known.items())
    return found | numbered([name] for name in ours) if same > _MOST * CLASSES else found


def class_names(card: Card, classes: int) -> Names:
    """Returns the names as ``options.classes`` gives them: a list of texts in the classes' order, or "imagenet".

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
    return numbered([name] for name in names) if given == "imagenet" else named_in_texts(names)


def _of_one(told: Iterable[tuple[str, int]]) -> dict[str, int]:
    found: dict[str, set[int]] = {}
    for name, number in told:
        found.setdefault(name, set()).add(number)
    return {name: numbers.pop() for name, numbers in found.items() if len(numbers) == 1}


def _label_of(prompt: str, classes: int, names: Names) -> int:
    wanted = prompt.strip()
    if (label := names.find(wanted)) is not None:
        return label
    matched = _NUMBERED.fullmatch(wanted.lower())
    if matched is None or int(matched[1]) >= classes:
        near = difflib.get_close_matches(wanted.lower(), names.lower, n=1)
        guess = f'Did you mean "{near[0]}"? ' if near else ""
        hint = f'{guess}A prompt is a name of a class, or "class N" with N from 0 to {classes - 1}.'
        raise UserError(f'"{prompt}" is none of the {classes} classes of this model.', hint=hint)
    return int(matched[1])
