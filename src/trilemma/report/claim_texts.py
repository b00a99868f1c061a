"""The claims in words: every verdict with the sentences that it rests on, and who asserted what without measuring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trilemma.claims.judge import JudgedClaim, JudgedPart, Verdict, judge
from trilemma.claims.members import members
from trilemma.claims.stated import Claims, Source, load_claims
from trilemma.report import prose, tables
from trilemma.report.catalog import Described, describe
from trilemma.report.claim_sentences import sentence
from trilemma.store.run import Run as StoredRun
from trilemma.workspace import find_workspace

if TYPE_CHECKING:
    from trilemma.report.record import Run

SIGNS: dict[Verdict, str] = {"supported": "✓", "contradicted": "✗", "undecided": "?", "not tested": "–"}
"""Beside the word, so that neither colour nor sign stands alone."""
AXES = ("quality", "diversity", "speed")


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One comparison: its verdict, and a sentence with effect and interval, or with the reason why there is none."""

    verdict: Verdict
    text: str


@dataclass(frozen=True, kw_only=True)
class PartText:
    """A part: the words of the claim, the verdict on them, the evidence, or why there is none."""

    says: str
    verdict: Verdict
    why: str
    evidence: tuple[Evidence, ...]

    @property
    def deciding(self) -> tuple[Evidence, ...]:
        """The evidence that speaks as the part does."""
        return tuple(one for one in self.evidence if one.verdict == self.verdict)

    @property
    def others(self) -> tuple[Evidence, ...]:
        """The evidence that does not."""
        return tuple(one for one in self.evidence if one.verdict != self.verdict)


@dataclass(frozen=True, kw_only=True)
class ClaimText:
    """A claim with its verdict and source; ``why``, a sentence, where the claim as a whole was not tested."""

    sentence: str
    verdict: Verdict
    why: str
    note: str
    source: str
    parts: tuple[PartText, ...]


@dataclass(frozen=True, kw_only=True)
class AssertedText:
    """A line of an asserted table, and under it the models that it speaks of: (name, a text for each of AXES)."""

    name: str
    source: str
    scores: tuple[str, ...]
    measured: tuple[tuple[str, tuple[str, ...]], ...]
    absent: str


@dataclass(frozen=True, kw_only=True)
class ClaimTexts:
    """All of it.

    Attributes:
        words: each with the metrics that it is measured by, and why these.
        tests: the number of comparisons that share the probability of error.
    """

    claims: tuple[ClaimText, ...]
    asserted: tuple[AssertedText, ...]
    words: tuple[tuple[str, tuple[Described, ...], str], ...]
    notes: tuple[str, ...]
    tests: int


def claim_texts(run: Run) -> ClaimTexts | None:
    """Returns the claims that the run's workspace states, judged by the run; None where there is nothing to say.

    That is without claims, without numbers, where none of the families took part, and over other data than the claims'.
    The workspace is the folder that the run lies in, else the suite's own.

    Raises:
        UserError: the claims cannot be read.
    """
    claims = load_claims(find_workspace(start=run.folder.path))
    if claims is None or not run.rows or not tables.is_scored(run) or claims.data != prose.data_of(run):
        return None
    stored = StoredRun(run.folder.path)
    if not any(members(role, stored) for role in claims.roles.values()):
        return None
    judged = judge(claims, stored)
    return ClaimTexts(
        claims=tuple(_claim(one, claims) for one in judged),
        asserted=tuple(_asserted(run, stored, claims)),
        words=tuple(_word(name, claims) for name in claims.words),
        notes=tuple(f"{source.title}: {source.note}" for source in claims.sources.values() if source.note),
        tests=sum(one.p is not None for claim in judged for part in claim.parts for one in part.comparisons),
    )


def _claim(judged: JudgedClaim, claims: Claims) -> ClaimText:
    return ClaimText(
        sentence=judged.claim.sentence,
        verdict=judged.verdict,
        why=f"{judged.why[0].upper()}{judged.why[1:]}." if judged.why else "",
        note=judged.claim.note,
        source=_source(claims.sources[judged.claim.source]),
        parts=tuple(map(_part, judged.parts)),
    )


def _source(source: Source) -> str:
    return f"{source.title}, arXiv {source.arxiv}" if source.arxiv else source.title


def _word(name: str, claims: Claims) -> tuple[str, tuple[Described, ...], str]:
    word = claims.words[name]
    return name, tuple(map(describe, word.metrics)), word.because


def _part(judged: JudgedPart) -> PartText:
    evidence = tuple(Evidence(verdict=one.verdict, text=sentence(one)) for one in judged.comparisons)
    return PartText(says=judged.part.says, verdict=judged.verdict, why=judged.why, evidence=evidence)


def _asserted(run: Run, stored: StoredRun, claims: Claims) -> list[AssertedText]:
    scores = tables.scores(run)
    texts = {(row["model"], row["axis"]): tables.score_text(row) for row in scores.to_dict("records")}
    lines = []
    for row in claims.asserted:
        role = claims.roles[row.role]
        models = members(role, stored)
        lines.append(
            AssertedText(
                name=row.name,
                source=_source(claims.sources[row.source]),
                scores=tuple(f"{getattr(row, axis):g}" for axis in AXES),
                measured=tuple((model, tuple(texts[model, axis] for axis in AXES)) for model in models),
                absent="" if models else f"no {role.title} took part",
            )
        )
    return lines
