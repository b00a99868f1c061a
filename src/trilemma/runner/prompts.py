"""Where the prompts of a set come from: Scenes, another data set's captions or classes, a file, or nowhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from trilemma.data import scenes
from trilemma.data.classes import class_names
from trilemma.data.of_protocol import data_of, find_file, places
from trilemma.data.prompts import read_prompts
from trilemma.errors import UserError
from trilemma.protocol import Protocol, SampleSet

EMPTY_PROMPT_ID = "empty"
NO_TARGET = (-1, -1, -1)
NO_LABEL = -1
Target = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """A prompt, and what it asks for: ``target`` is of Scenes, ``label`` a class of another data set; -1 is nothing."""

    id: str
    text: str
    target: Target = NO_TARGET
    label: int = NO_LABEL


EMPTY = Prompt(id=EMPTY_PROMPT_ID, text="")


def prompts_of(protocol: Protocol, entry: SampleSet, count: int) -> list[Prompt]:
    """Returns the first ``count`` prompts of a set; of "classes" there are as many as classes.

    Raises:
        UserError: the data set or file is not at hand, or has fewer prompts; classes cannot come equally often.
    """
    if entry.prompts == "none":
        return [EMPTY] * count
    if protocol.knows_truth:
        return _of_scenes(entry.split, count)
    if entry.takes_classes:
        return _classes(protocol, entry, count)
    if entry.file is not None:
        return _of_file(protocol, entry, entry.file, count)
    return _of_split(protocol, entry, count)


def _of_scenes(split: str, count: int) -> list[Prompt]:
    indices = list(range(count))
    known = scenes.factors(split, indices)
    return [
        Prompt(
            id=f"{split}-{index}",
            text=caption,
            target=(int(known.shape[index]), int(known.color[index]), int(known.background[index])),
        )
        for index, caption in zip(indices, scenes.captions(split, indices), strict=True)
    ]


def _classes(protocol: Protocol, entry: SampleSet, count: int) -> list[Prompt]:
    """Repeated classes have ids of their own: with those of the balanced set they would have its noise as well."""
    names = class_names(data_of(protocol))
    where = f"{protocol.name}: sets: {entry.name}"
    if entry.prompts == "repeated":
        _check_number(len(names), count, "classes", where)
        return [Prompt(id=f"within-class-{i}", text=name, label=i) for i, name in enumerate(names[:count])]
    if entry.images % len(names):
        hint = f"Take a multiple of {len(names):,}."
        raise UserError(f"{entry.images:,} images cannot show {len(names):,} classes equally.", where=where, hint=hint)
    return [Prompt(id=f"class-{i}", text=name, label=i) for i, name in enumerate(names)]


def _of_file(protocol: Protocol, entry: SampleSet, name: str, count: int) -> list[Prompt]:
    where = f"{protocol.name}: sets: {entry.name}"
    path = find_file(protocol, name, entry.sha256)
    if path is None:
        looked = ", ".join(map(str, places(protocol, name)))
        raise UserError(f'the file of prompts "{name}" is missing.', where=where, hint=f"Looked for {looked}.")
    found = read_prompts(path, entry.column)
    _check_number(len(found), count, "prompts", where)
    stem = PurePosixPath(name).stem
    prefix = f"within-{stem}" if entry.prompts == "repeated" else stem
    return [Prompt(id=f"{prefix}-{row}", text=text) for row, text in enumerate(found[:count])]


def _of_split(protocol: Protocol, entry: SampleSet, count: int) -> list[Prompt]:
    data, rows = data_of(protocol), range(count)
    _check_number(data.count(entry.split), count, f'prompts in the split "{entry.split}"', f"{protocol.name}: sets")
    texts, labels = data.prompts(entry.split, rows), data.labels(entry.split, rows).tolist()
    return [
        Prompt(id=f"{entry.split}-{row}", text=text, label=label)
        for row, text, label in zip(rows, texts, labels, strict=True)
    ]


def _check_number(found: int, needed: int, what: str, where: str) -> None:
    if found < needed:
        raise UserError(f"there are {found:,} {what}; {needed:,} are needed.", where=where)
