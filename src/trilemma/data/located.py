"""Data sets that a name says all of, such as ``hf:OWNER/NAME@REVISION?split=test&label=fine_label``.

    hf:OWNER/NAME@REVISION   a data set of the Hugging Face hub, pinned to a commit or a tag, never a branch
    hf:FOLDER                a folder of Parquet files in the layout of the hub; the path starts with "/", "." or "~"
    wds:FOLDER               a folder of WebDataset's shards, or some of them: ``wds:FOLDER/train-{000000..000012}.tar``

What follows the question mark chooses among what is there. All of it is part of the name, and so of every number's
identity.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import parse_qsl

from trilemma.errors import UserError, suggest

HUB, SHARDS = "hf", "wds"
OPTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {HUB: ("config", "split", "image", "caption", "label", "first"), SHARDS: ("split", "classes")}
)
_REPOSITORY = re.compile(r"\w[\w-]*/\w[\w.-]*")
_REVISION = re.compile(r"\w[\w.-]*(/\w[\w.-]*)*")
_MOVING = re.compile(r"main|master|head|refs/.*", re.IGNORECASE)  # of other branches no name tells that they are some
_WORD = re.compile(r"\w[\w.+-]*")


@dataclass(frozen=True, kw_only=True)
class Located:
    """A name, taken apart.

    Attributes:
        name: the whole.
        scheme: "hf" or "wds".
        place: a repository of the hub, or a path.
        revision: of the repository; None for paths.
        options: what stands behind the question mark.
    """

    name: str
    scheme: str
    place: str
    revision: str | None
    options: Mapping[str, str]

    @property
    def path(self) -> Path | None:
        """The path; None for a repository."""
        return Path(self.place).expanduser() if self.revision is None else None


def is_located(name: str) -> bool:
    """Whether a name is one of these."""
    scheme, colon, _ = name.partition(":")
    return bool(colon) and scheme in OPTIONS


def located(name: str) -> Located:
    """Returns a name's parts.

    Raises:
        UserError: it has not the form above, names a repository without a revision or at a branch, or has an unknown
            option.
    """
    scheme, _, rest = name.partition(":")
    place, _, query = rest.partition("?")
    options = _options(query, scheme, name)
    revision = None
    if scheme == HUB and not place.startswith(("/", ".", "~")):
        place, _, revision = place.partition("@")
        _check_repository(place, revision, name)
    if not place:
        raise UserError("this names no data.", where=name)
    return Located(name=name, scheme=scheme, place=place, revision=revision, options=options)


def anchored(name: str, home: Path | None) -> str:
    """Returns the name of a data set with the path in it, where there is one, taken from ``home``."""
    if is_located(name):
        found = located(name)
        if found.path is None:
            return name
        query = name.partition("?")[1:]
        return f"{found.scheme}:{_absolute(found.path, home)}{''.join(query)}"
    return str(_absolute(Path(name).expanduser(), home)) if "/" in name else name


def _absolute(path: Path, home: Path | None) -> Path:
    return path if path.is_absolute() or home is None else home / path


def _options(query: str, scheme: str, name: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), max_num_fields=20)
    except ValueError:
        raise UserError("what follows the question mark must look like a=b&c=d.", where=name) from None
    for key, value in pairs:
        if key not in OPTIONS[scheme]:
            raise UserError(f'there is no option "{key}".', where=name, hint=suggest(key, OPTIONS[scheme]))
        if not value or "\0" in value:
            raise UserError(f'the option "{key}" says nothing.', where=name)
        if key in ("config", "split") and not _WORD.fullmatch(value):
            raise UserError(f'"{value}" cannot be the name of a {key}.', where=name)
    if len(dict(pairs)) < len(pairs):
        raise UserError("an option is given twice.", where=name)
    return dict(pairs)


def _check_repository(place: str, revision: str, name: str) -> None:
    if not _REPOSITORY.fullmatch(place) or ".." in place:
        raise UserError(
            f'"{place}" is no data set of the hub.',
            where=name,
            hint='It looks like "hf:owner/name@commit"; a path starts with "/", "." or "~".',
        )
    if not revision:
        raise UserError(
            "a data set of the hub may change at any time.",
            where=name,
            hint=f"Name a commit or a tag of it: {HUB}:{place}@COMMIT.",
        )
    if not _REVISION.fullmatch(revision):
        raise UserError(f'"{revision}" is no revision.', where=name, hint="Give a commit or a tag.")
    if _MOVING.fullmatch(revision):
        raise UserError(
            f'"{revision}" may be other data tomorrow.',
            where=name,
            hint="Give the commit that it is today (the hub shows it under Files, History), or a tag.",
        )


def split_of(found: Located, known: Collection[str], wanted: str | None = None) -> str:
    """Returns the split that is meant: the one asked for, or else the one that the name gives, or the only one.

    Raises:
        UserError: there is no such split, or none is named and there are several.
    """
    split = wanted or found.options.get("split")
    if split is None and len(known) == 1:
        return next(iter(known))
    if split is None:
        raise UserError(f"there are several splits here: {', '.join(known)}.", where=found.name, hint="Add split=…")
    if split not in known:
        raise UserError(f'"{found.name}" has no split "{split}".', hint=suggest(split, known))
    return split
