"""Who competes: a model's card, read from ``models/NAME/card.toml``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from trilemma.errors import UserError
from trilemma.identity import digest, file_digest
from trilemma.strict_toml import NOT_IN_FILE, key_in_file, read

FILE_NAME = "card.toml"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Card:
    """One model: what it is, which code loads it, its weights and its default knobs.

    Attributes:
        name: lower case letters, digits, "-" and "_".
        family: the family that loads it; or
        factory: ``package.module:function``, called as ``factory(card, device)``.
        weights_sha256: table ``[weights]``, file relative to the card's folder → sha256.
        knobs: defaults that override the family's.
        options, network: free tables for the family: choices, and the network's numbers.
        training, measured: free tables that the report prints; they are no part of the revision.
        path: the folder that holds the card.
    """

    name: str
    family: str | None = None
    factory: str | None = None
    title: str = ""
    description: str = ""
    licence: str = ""
    control: bool = False
    resolution: int = 32
    parameters: int | None = None
    knobs: dict[str, float | int] = field(default_factory=dict)
    weights_sha256: dict[str, str] = field(default_factory=dict, metadata=key_in_file("weights"))
    options: dict[str, Any] = field(default_factory=dict)
    network: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)
    path: Path = field(metadata=NOT_IN_FILE)

    def __post_init__(self) -> None:
        check_name(self.name)
        if (self.family is None) == (self.factory is None):
            raise UserError('a card names either a "family" or a "factory".')
        if self.factory is not None and not _FACTORY.fullmatch(self.factory):
            raise UserError(f'must look like "package.module:function", got {self.factory!r}.', where="factory")
        if self.resolution < 1:
            raise UserError(f"must be at least 1, got {self.resolution}.", where="resolution")
        for name, sha256 in self.weights_sha256.items():
            _check_weight(name, sha256)

    @property
    def revision(self) -> str:
        """The digest of everything on the card, weights included, that can change a pixel."""
        pixels = (self.family, self.factory, self.resolution, self.knobs, self.weights_sha256, self.options)
        return digest([*pixels, self.network])

    def weight(self, name: str) -> Path:
        """Returns the path of a weight file that the card lists; another name raises UserError."""
        if name not in self.weights_sha256:
            raise UserError(f'the card lists no weights "{name}".', where=str(self.path / FILE_NAME))
        return self.path / name

    def verify(self) -> None:
        """Raises UserError unless every weight file is there and has its sha256."""
        for name, wanted in self.weights_sha256.items():
            path = self.path / name
            if not path.is_file():
                raise UserError("these weights are missing.", where=str(path), hint=f"Train them: train {self.name}.")
            if file_digest(path) != wanted:
                raise UserError("these weights are not those of the card: their sha256 differs.", where=str(path))


def load_card(path: Path) -> Card:
    """Returns the card of a ``card.toml`` or of the folder that holds one.

    Raises:
        UserError: an unknown or missing key, a value of another type, a name that cannot be one.
    """
    file = path / FILE_NAME if path.is_dir() else path
    return read(file, Card, path=file.resolve().parent)


def check_name(name: str) -> str:
    """Returns the name; raises UserError unless it can safely be a file name: ``[a-z0-9][a-z0-9_-]*``."""
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{name!r} cannot be a name.", where="name", hint='Use lower case letters, digits, "-" and "_".'
        )
    return name


def _check_weight(name: str, sha256: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name:
        raise UserError(f"{name!r} is not inside the card's folder.", where="weights")
    if not _SHA256.fullmatch(sha256):
        raise UserError(f"{name!r} needs a sha256 of 64 lower case hex digits.", where="weights")
