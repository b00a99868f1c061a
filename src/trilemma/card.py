"""Who competes: a model's card, read from ``models/NAME/card.toml``."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

from trilemma.errors import UserError
from trilemma.identity import digest, file_digest
from trilemma.strict_toml import NOT_IN_FILE, key_in_file, read

FILE_NAME = "card.toml"
SEPARATOR = "@"  # between a model's name and the settings of a variant of it
Precision = Literal["fp32", "bf16", "fp16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
MOST_SETTINGS = 12
RANDOM: Literal["random"] = "random"  # weights of the published size, drawn when the model is loaded
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_SETTINGS = re.compile(r"[a-z0-9_.=+-]+")
_FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Part:
    """One network of a published model: how many parameters it was published with, and where that stands."""

    name: str
    parameters: int
    source: str


@dataclass(frozen=True, kw_only=True)
class Card:
    """One model: what it is, which code loads it, its weights and its default knobs.

    Attributes:
        name: lower case letters, digits, "-" and "_"; a variant's goes on with "@" and its settings.
        family: the family that loads it; or
        factory: ``package.module:function``, called as ``factory(card, device)``.
        data: the data set that it is a model of: ``train`` takes pictures and prompts from it, and protocols over it
            take the model where none is named.
        python, pythonpath: the interpreter that a factory runs in, and folders that it imports from first; relative
            paths are to the card's folder. None: the suite's own.
        timeout_seconds: the longest that a call may take in an interpreter of its own; None: an hour.
        weights_sha256: table ``[weights]``, file relative to the card's folder → sha256.
        weights: "random" in the table's place: a network of published size whose weights are drawn. It can be timed,
            and nothing else can be said of it.
        parts: of a network of published size, what it was published with.
        published_as: its model's name in ``results/published/``.
        precision: of the network's weights and arithmetic. compile: whether torch.compile prepares it.
        knobs: defaults that override the family's.
        sweep: knob → the values that ``sweep`` tries where it is told none; at most 12 settings in all.
        options, network: free tables for the family: choices, and the network's numbers.
        training, measured: free tables that the report prints; they are no part of the revision.
        path: the folder that holds the card.
    """

    name: str
    family: str | None = None
    factory: str | None = None
    python: str | None = None
    pythonpath: tuple[str, ...] = ()
    timeout_seconds: float | None = None
    title: str = ""
    description: str = ""
    licence: str = ""
    control: bool = False
    resolution: int = 32
    data: str = "scenes"
    parameters: int | None = None
    precision: Precision = "fp32"
    compile: bool = False
    knobs: dict[str, float | int] = field(default_factory=dict)
    sweep: dict[str, tuple[float | int, ...]] = field(default_factory=dict)
    weights_sha256: dict[str, str] = field(default_factory=dict, metadata=key_in_file("weights"))
    weights: Literal["random"] | None = field(default=None, metadata=key_in_file("weights"))
    parts: tuple[Part, ...] = ()
    published_as: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    network: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)
    path: Path = field(metadata=NOT_IN_FILE)

    def __post_init__(self) -> None:
        model, separator, settings = self.name.partition(SEPARATOR)
        check_name(model)
        if separator and not _SETTINGS.fullmatch(settings):
            raise UserError(f"{self.name!r} cannot be the name of a variant.", where="name")
        if (self.family is None) == (self.factory is None):
            raise UserError('a card names either a "family" or a "factory".')
        if self.factory is not None and not _FACTORY.fullmatch(self.factory):
            raise UserError(f'must look like "package.module:function", got {self.factory!r}.', where="factory")
        self._check_interpreter()
        if self.resolution < 1:
            raise UserError(f"must be at least 1, got {self.resolution}.", where="resolution")
        if math.prod(map(len, self.sweep.values())) > MOST_SETTINGS:
            raise UserError(f"a card's sweep has at most {MOST_SETTINGS} settings.", where="sweep")
        for name, sha256 in self.weights_sha256.items():
            _check_weight(name, sha256)

    def _check_interpreter(self) -> None:
        if self.python is None and (self.pythonpath or self.timeout_seconds is not None):
            name = "pythonpath" if self.pythonpath else "timeout_seconds"
            raise UserError('is for an interpreter of its own: name it as "python".', where=name)
        if self.python is not None and self.factory is None:
            raise UserError('runs a "factory", and the card names none.', where="python")
        if self.timeout_seconds is not None and not 0 < self.timeout_seconds < math.inf:
            raise UserError(f"must be a number above 0, got {self.timeout_seconds}.", where="timeout_seconds")

    @property
    def model(self) -> str:
        """The name without the settings of a variant."""
        return self.name.partition(SEPARATOR)[0]

    @property
    def random_weights(self) -> bool:
        """Whether the weights are drawn: the model takes part in ``speed`` only, and is marked so everywhere."""
        return self.weights == RANDOM

    @property
    def revision(self) -> str:
        """The digest of everything on the card, weights included, that can change a pixel."""
        pixels = (self.family, self.factory, self.resolution, self.knobs, self.weights_sha256, self.options)
        # fp32 is left out: it was all that there was when the first records were written.
        rest = [self.precision] * (self.precision != "fp32") + [f"{RANDOM} {self.model}"] * self.random_weights
        return digest([*pixels, self.network, *rest])

    def weight(self, name: str) -> Path:
        """Returns the path of a weight file that the card lists; another name raises UserError."""
        if name not in self.weights_sha256:
            raise UserError(f'the card lists no weights "{name}".', where=str(self.path / FILE_NAME))
        return self.path / name

    def missing_weights(self) -> UserError | None:
        """Returns the error that names the first weight file that is not there; None where all are."""
        missing = [self.path / name for name in self.weights_sha256 if not (self.path / name).is_file()]
        if not missing:
            return None
        return UserError("these weights are missing.", where=str(missing[0]), hint=f"Train them: train {self.model}.")

    def verify(self) -> None:
        """Raises UserError unless every weight file is there and has its sha256."""
        if (missing := self.missing_weights()) is not None:
            raise missing
        for name, wanted in self.weights_sha256.items():
            path = self.path / name
            if file_digest(path) != wanted:
                raise UserError("these weights are not those of the card: their sha256 differs.", where=str(path))


def marked(name: str, card: Mapping[str, Any]) -> str:
    """Returns a model's name as people see it, of its card as a record holds it: random weights are told with it."""
    return f"{name} ({RANDOM} weights)" if card.get("weights") == RANDOM else name


def load_card(path: Path) -> Card:
    """Returns the card of a ``card.toml`` or of the folder that holds one.

    Raises:
        UserError: an unknown or missing key, a value of another type, a name that cannot be one.
    """
    file = path / FILE_NAME if path.is_dir() else path
    card = read(file, Card, path=file.resolve().parent)
    if card.name != card.model:
        raise UserError(f'a name has no "{SEPARATOR}".', where=f"{file}: name")
    return card


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
