"""The claims as they are stated: ``benchmarks/claims.toml``, read strictly.

A claim is a sentence with its source. Its parts, all of which must hold, are comparisons: who (a role, which families
play) has more or less of what (a word, which metrics measure) than whom. A word means the same in every claim, so that
no claim chooses the metric that suits it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from trilemma import registry
from trilemma.card import check_name
from trilemma.errors import UserError, suggest
from trilemma.families.table import FAMILIES
from trilemma.metrics.catalog import COUNTERS, METRICS
from trilemma.protocol import SCENES
from trilemma.strict_toml import NOT_IN_FILE, check_references, read
from trilemma.workspace import Workspace

TOP = 10.0
"""Of the scale of scores."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Who says it.

    Attributes:
        arxiv: the paper's number; "" where there is no paper.
        note: what a reader should know of it.
    """

    title: str
    kind: Literal["paper", "survey", "lecture"]
    arxiv: str = ""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Role:
    """Whom a sentence speaks of.

    Attributes:
        title: as in "no TITLE took part".
        families: those whose models play it. models: further ones, by name.
    """

    title: str
    families: tuple[str, ...] = ()
    models: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.families and not self.models:
            raise UserError('a role needs "families" or "models".')
        for family in self.families:
            if family not in FAMILIES:
                hint = suggest(family, FAMILIES)
                raise UserError(f'there is no family "{family}".', where="families", hint=hint)


@dataclass(frozen=True, kw_only=True)
class Word:
    """What is meant by a word: the better a model is in each of the metrics, the more it has of what the word names.

    Attributes:
        because: why these metrics.
    """

    metrics: tuple[str, ...]
    because: str

    def __post_init__(self) -> None:
        if not self.metrics or len(set(self.metrics)) < len(self.metrics):
            raise UserError("a word needs metrics, each of them once.", where="metrics")
        for name in self.metrics:
            _check_metric(name, "metrics")
            if METRICS[name].axis == "score" or METRICS[name].direction == "none":
                hint = "Name the metrics that the score is made of." if METRICS[name].axis == "score" else None
                raise UserError(f'"{name}" is no measured series with a better side.', where="metrics", hint=hint)


@dataclass(frozen=True, kw_only=True)
class Part:
    """A comparison that a claim makes.

    Attributes:
        says: the words of the sentence that it stands for.
        who: the role whose models are compared. which: whether it must hold of "all" of them, or of "any".
        degree: whether they have "more" or "less" of it. word: what of.
        than: the roles that they are compared with.
        compare: with "all" of their models, one by one, with "any" of them, or with their "mean".
        ratio: by at least so many times.
    """

    says: str
    who: str
    which: Literal["all", "any"] = "all"
    degree: Literal["more", "less"] = "more"
    word: str
    than: tuple[str, ...]
    compare: Literal["all", "any", "mean"] = "all"
    ratio: float | None = None

    def __post_init__(self) -> None:
        if not self.than:
            raise UserError("names nobody to compare with.", where="than")
        if self.who in self.than:
            raise UserError(f"compares {self.who!r} with itself.", where="than")
        if self.ratio is not None and not 1 < self.ratio < math.inf:
            raise UserError(f'must be above 1, got {self.ratio}; "degree" says which way.', where="ratio")


@dataclass(frozen=True, kw_only=True)
class Premise:
    """What the sentence presupposes: the compared models' largest count is at most 1 + ``within`` times the least."""

    metric: str
    within: float

    def __post_init__(self) -> None:
        _check_metric(self.metric, "metric")
        if self.metric not in COUNTERS:
            raise UserError(f'"{self.metric}" is not counted.', where="metric", hint=f"Known: {', '.join(COUNTERS)}.")
        if not 0 <= self.within < math.inf:
            raise UserError(f"must be 0 or more, got {self.within}.", where="within")


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A sentence and its test.

    Attributes:
        sentence: as people say it. source: a name among the sources.
        not_tested: in the place of parts: why no run of this suite can test it.
        note: what the test cannot tell apart.
    """

    name: str
    sentence: str
    source: str
    parts: tuple[Part, ...] = ()
    premise: Premise | None = None
    not_tested: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        check_name(self.name)
        if bool(self.parts) == bool(self.not_tested):
            raise UserError('a claim has "parts", or says why it is "not_tested".', where=self.name)
        if self.premise is not None and not self.parts:
            raise UserError("there is nothing to presuppose it.", where=f"{self.name}: premise")


@dataclass(frozen=True, kw_only=True)
class Asserted:
    """A line of a table of scores from 0 to 10 that somebody asserts without a measurement."""

    name: str
    role: str
    source: str
    quality: float
    diversity: float
    speed: float

    def __post_init__(self) -> None:
        for axis in ("quality", "diversity", "speed"):
            if not 0 <= getattr(self, axis) <= TOP:
                raise UserError(f"must be 0 to {TOP:g}, got {getattr(self, axis)}.", where=axis)


@dataclass(frozen=True, kw_only=True)
class Claims:
    """The whole file: the claims in its order, and what they call by name.

    Attributes:
        data: the data set whose metrics the words are: of runs over another one, nothing is said.
    """

    sources: dict[str, Source]
    roles: dict[str, Role]
    words: dict[str, Word]
    claims: tuple[Claim, ...]
    asserted: tuple[Asserted, ...] = ()
    data: str = SCENES
    path: Path = field(metadata=NOT_IN_FILE)

    def __post_init__(self) -> None:
        check_references("source", self.sources, self._sources())
        check_references("role", self.roles, self._roles())
        check_references("word", self.words, ((place, part.word) for place, part in self._parts()))
        names = [claim.name for claim in self.claims]
        for number, name in enumerate(names):
            if name in names[:number]:
                raise UserError(f"{name!r} stands here twice.", where=f"claims[{number}]: name")

    def _parts(self) -> Iterator[tuple[str, Part]]:
        for number, claim in enumerate(self.claims):
            yield from ((f"claims[{number}]: parts[{index}]", part) for index, part in enumerate(claim.parts))

    def _sources(self) -> Iterable[tuple[str, str]]:
        yield from ((f"claims[{number}]", claim.source) for number, claim in enumerate(self.claims))
        yield from ((f"asserted[{number}]", row.source) for number, row in enumerate(self.asserted))

    def _roles(self) -> Iterable[tuple[str, str]]:
        for place, part in self._parts():
            yield from ((place, name) for name in (part.who, *part.than))
        yield from ((f"asserted[{number}]", row.role) for number, row in enumerate(self.asserted))


def load_claims(workspace: Workspace) -> Claims | None:
    """Returns the workspace's claims, or None where it states none.

    Raises:
        UserError: anything wrong in the file, naming it and the key; a role's model that the workspace has not.
    """
    path = workspace.claims
    if not path.is_file():
        return None
    claims = read(path, Claims, path=path)
    known = registry.model_names(workspace)
    for name, role in claims.roles.items():
        for model in role.models:
            if model not in known:
                where = f"{path}: roles.{name}: models"
                raise UserError(f'there is no model "{model}".', where=where, hint=suggest(model, known))
    return claims


def _check_metric(name: str, where: str) -> None:
    if name not in METRICS:
        raise UserError(f'There is no metric "{name}".', where=where, hint=suggest(name, METRICS))
