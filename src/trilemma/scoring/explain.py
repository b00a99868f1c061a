"""Why two numbers differ: the fields of their identities that are not the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trilemma.errors import UserError
from trilemma.scoring.differences import Difference, differences
from trilemma.scoring.record import ScoreRecord, read_record
from trilemma.scoring.row import Row
from trilemma.store.run import Run, find_run
from trilemma.tracking.series import measurement

GENERATED = "fake"
"""The field that differs between any two models: numbers that differ in it alone are there to be compared."""


@dataclass(frozen=True, kw_only=True)
class Numbered:
    """One number of a document, with what it depends on.

    Attributes:
        owner: the preset, or the run's model, that it belongs to.
        row: of a score; None in a run.
    """

    owner: str
    metric: str
    value: float | None
    se: float | None
    identity: Mapping[str, Any]
    row: Row | None = None


@dataclass(frozen=True, kw_only=True)
class Document:
    """What was given: the numbers of a score file, or those of a run.

    Attributes:
        score: the file's content; None for a run.
    """

    name: str
    numbers: tuple[Numbered, ...]
    score: ScoreRecord | None = None


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """One metric in two documents.

    Attributes:
        differing: the fields that differ, in the order of A's identity.
    """

    metric: str
    a: Numbered
    b: Numbered
    differing: tuple[Difference, ...]

    @property
    def comparable(self) -> bool:
        """Whether nothing differs but the images that are judged."""
        return all(one.field == GENERATED for one in self.differing)

    @property
    def first(self) -> Difference | None:
        """The first field that differs and forbids a comparison; where none does, that of the images, or None."""
        forbidding = [one for one in self.differing if one.field != GENERATED]
        return next(iter([*forbidding, *self.differing]), None)

    @property
    def difference(self) -> float | None:
        """B minus A, or None where either is missing."""
        return None if self.a.value is None or self.b.value is None else self.b.value - self.a.value


def document(name: str, runs: Path) -> Document:
    """Returns the numbers of a score file, of a run, or of one model of a run (RUN:MODEL).

    Raises:
        UserError: there is no such file or run, it is damaged, or the run has no such model.
    """
    path = Path(name).expanduser()
    if path.is_file():
        record = read_record(path)
        return Document(name=name, score=record, numbers=tuple(map(_of_score, record.rows)))
    run_name, _, model = name.rpartition(":")
    run = Run(find_run(run_name or name, runs))
    if run_name and model not in run.models:
        raise UserError(f'this run has no model "{model}".', where=name, hint=f"It has {', '.join(run.models)}.")
    rows = [row for row in run.rows if not run_name or row.model == model]
    return Document(
        name=name,
        numbers=tuple(
            Numbered(owner=row.model, metric=row.metric, value=row.value, se=row.se, identity=measurement(run, row))
            for row in rows
        ),
    )


def explain(a: Document, b: Document, metric: str | None = None) -> list[Explanation]:
    """Returns one explanation for every metric of both documents, in the order of the first.

    A metric is looked for under the same preset or model, and where that is not in the other document, under any: FID
    of two presets is a pair, for that is what people compare.

    Raises:
        UserError: the documents have no metric in common, or not the one asked for.
    """
    found = [
        Explanation(metric=one.metric, a=one, b=other, differing=_differing(one, other))
        for one in a.numbers
        if metric is None or one.metric == metric
        for other in _partners(one, a.numbers, b.numbers)
    ]
    if not found:
        what = "no metric" if metric is None else f'no "{metric}"'
        names = " and ".join(f"{one.name} has {', '.join(_metrics(one))}" for one in (a, b))
        raise UserError(f"the two have {what} in common.", hint=f"{names}.")
    return found


def _of_score(row: Row) -> Numbered:
    return Numbered(owner=row.preset, metric=row.metric, value=row.value, se=row.se, identity=row.identity, row=row)


def _partners(one: Numbered, own: Sequence[Numbered], others: Sequence[Numbered]) -> list[Numbered]:
    same = [other for other in others if other.metric == one.metric]
    exact = [other for other in same if other.owner == one.owner]
    if exact:
        return exact
    owners = {number.owner for number in own}
    return [other for other in same if other.owner not in owners]


def _differing(a: Numbered, b: Numbered) -> tuple[Difference, ...]:
    return tuple(differences(a.identity, b.identity))


def _metrics(one: Document) -> list[str]:
    return list(dict.fromkeys(number.metric for number in one.numbers))
