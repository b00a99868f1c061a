"""The verdict on every claim, from the numbers of one run.

A comparison is supported where its difference lies on the claimed side beyond chance and beyond the margin by which
the suite lets a metric differ (with a ratio: beyond that ratio), contradicted where it lies so on the other side, and
undecided else. Chance is a one-sided test at 0.025, after Holm's adjustment over the comparisons of all claims, for
each side by itself: with probability 0.95 no comparison of the run is called wrongly, whatever depends on what.
What is counted is not tested: it is larger or it is not.

Parts and claims follow by logic: "all" fails with the first that is contradicted, "any" holds with the first that is
supported. What could not be tested stays so where the rest does not decide.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from trilemma.claims.contrast import Contrast, Contrasts, Untestable
from trilemma.claims.members import members
from trilemma.claims.stated import Claim, Claims, Part, Premise
from trilemma.metrics.catalog import METRICS
from trilemma.metrics.margins import GATING
from trilemma.statistics.decision import Decision, Test, decide
from trilemma.store.run import Run
from trilemma.tracking.judged import MESSAGES

SIGNIFICANCE = 0.025
"""Of each side: together they make the 95 % of the intervals."""

Verdict = Literal["supported", "contradicted", "undecided", "not tested"]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One model against another, or against the mean of several, in one metric.

    Attributes:
        more: whether the claim says that the model's number is the larger one. ratio: by how many times, or None.
        contrast: None where it could not be had.
        test: of the contrast, turned so that positive is against the claim; None where nothing is left to chance.
        why: for a comparison that is undecided or not tested, in words.
        p: one-sided, after Holm's adjustment, of the side on which the difference lies; None where nothing was tested.
    """

    metric: str
    model: str
    others: tuple[str, ...]
    more: bool
    ratio: float | None = None
    contrast: Contrast | None = None
    test: Test | None = None
    verdict: Verdict = "not tested"
    why: str = ""
    p: float | None = None


@dataclass(frozen=True, kw_only=True)
class JudgedPart:
    """A part with its comparisons; ``why`` it has none."""

    part: Part
    verdict: Verdict
    comparisons: tuple[Comparison, ...] = ()
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class JudgedClaim:
    """A claim with its parts; ``why`` none was tested, for reasons of the whole claim."""

    claim: Claim
    verdict: Verdict
    parts: tuple[JudgedPart, ...] = ()
    why: str = ""


def judge(claims: Claims, run: Run) -> tuple[JudgedClaim, ...]:
    """Returns every claim with its verdict, in the order of the file."""
    trial = _Trial(claims, run)
    drafted = [trial.draft(claim) for claim in claims.claims]
    tests = [one.test for claim in drafted for part in claim.parts for one in part.comparisons if one.test is not None]
    decisions = iter(decide(tests, significance=SIGNIFICANCE))
    return tuple(_settled(claim, decisions) for claim in drafted)


def every(verdicts: Iterable[Verdict]) -> Verdict:
    """Returns the verdict on "all of these hold"."""
    return _first(("contradicted", "not tested", "undecided"), verdicts, "supported")


def some(verdicts: Iterable[Verdict]) -> Verdict:
    """Returns the verdict on "one of these holds"."""
    return _first(("supported", "not tested", "undecided"), verdicts, "contradicted")


def _first(order: Sequence[Verdict], verdicts: Iterable[Verdict], otherwise: Verdict) -> Verdict:
    found = set(verdicts)
    return next((verdict for verdict in order if verdict in found), otherwise)


_OVER: dict[str, Callable[[Iterable[Verdict]], Verdict]] = {"all": every, "any": some, "mean": every}


class _Trial:
    """Makes the comparisons of one run, before they are judged together."""

    def __init__(self, claims: Claims, run: Run) -> None:
        self.claims, self.run = claims, run
        self.contrasts = Contrasts(run)
        self.members = {name: members(role, run) for name, role in claims.roles.items()}

    def draft(self, claim: Claim) -> JudgedClaim:
        why = claim.not_tested or (self._premise(claim.premise, claim) if claim.premise is not None else "")
        if why:
            return JudgedClaim(claim=claim, verdict="not tested", why=why)
        return JudgedClaim(claim=claim, verdict="not tested", parts=tuple(map(self._part, claim.parts)))

    def _part(self, part: Part) -> JudgedPart:
        absent = self._absent(part)
        if absent:
            return JudgedPart(part=part, verdict="not tested", why=absent)
        return JudgedPart(part=part, verdict="not tested", comparisons=tuple(self._comparisons(part)))

    def _absent(self, part: Part) -> str:
        titles = [self.claims.roles[name].title for name in (part.who, *part.than) if not self.members[name]]
        return f"no {' and no '.join(titles)} took part" if titles else ""

    def _comparisons(self, part: Part) -> Iterator[Comparison]:
        whole = tuple(dict.fromkeys(itertools.chain(*(self.members[name] for name in part.than))))
        for model in self.members[part.who]:
            rest = tuple(name for name in whole if name != model)
            for metric in self.claims.words[part.word].metrics:
                for others in [rest] if part.compare == "mean" else [(name,) for name in rest]:
                    yield self._comparison(part, metric, model, others)

    def _comparison(self, part: Part, metric: str, model: str, others: tuple[str, ...]) -> Comparison:
        more = (METRICS[metric].direction == "higher") == (part.degree == "more")
        blank = Comparison(metric=metric, model=model, others=others, more=more, ratio=part.ratio)
        try:
            contrast = self.contrasts.of(model, others, metric, ratio=part.ratio is not None)
        except Untestable as error:
            return replace(blank, why=str(error))
        known = replace(blank, contrast=contrast)
        return _counted(known, contrast) if contrast.exact else replace(known, test=_test(known, contrast))

    def _premise(self, premise: Premise, claim: Claim) -> str:
        """Returns why a premise does not hold; "" where it does."""
        roles = dict.fromkeys(name for part in claim.parts for name in (part.who, *part.than))
        models = dict.fromkeys(itertools.chain(*(self.members[name] for name in roles)))
        rows = {model: self.run.row(model, premise.metric) for model in models}
        counts = {model: row.value for model, row in rows.items() if row is not None and row.value is not None}
        title = METRICS[premise.metric].title.lower()
        if len(counts) < len(rows):
            return f"{title} are not known of {', '.join(model for model in rows if model not in counts)}"
        if counts and max(counts.values()) > (1 + premise.within) * min(counts.values()):
            told = ", ".join(f"{model} {count:,.0f}" for model, count in counts.items())
            return f"{title} differ by more than {premise.within:.0%}: {told}"
        return ""


def _against(comparison: Comparison, contrast: Contrast) -> float:
    """The difference, or what a ratio lacks of the claimed one, positive where it is against the claim."""
    assert contrast.effect.value is not None
    claimed = contrast.effect.value if comparison.more else -contrast.effect.value
    return math.log(comparison.ratio or 1.0) - claimed


def _counted(comparison: Comparison, contrast: Contrast) -> Comparison:
    against = _against(comparison, contrast)
    holds = against <= 0 if comparison.ratio is not None else against < 0
    return replace(comparison, verdict="supported" if holds else "contradicted")


def _test(comparison: Comparison, contrast: Contrast) -> Test:
    margin = GATING[comparison.metric].margin
    size = margin.of_log(contrast.other) if contrast.log else margin.of(contrast.other)
    return Test(
        worse=_against(comparison, contrast),
        se=contrast.effect.se,
        degrees_of_freedom=contrast.effect.degrees_of_freedom,
        margin=0.0 if comparison.ratio is not None else size,
    )


def _settled(claim: JudgedClaim, decisions: Iterator[Decision]) -> JudgedClaim:
    """Takes as many decisions as the claim has tests."""
    if not claim.parts:
        return claim
    parts = tuple(_settled_part(part, decisions) for part in claim.parts)
    return replace(claim, parts=parts, verdict=every(part.verdict for part in parts))


def _settled_part(judged: JudgedPart, decisions: Iterator[Decision]) -> JudgedPart:
    if not judged.comparisons:
        return judged
    found = tuple(one if one.test is None else _decided(one, next(decisions)) for one in judged.comparisons)
    of_models = []
    for _, same in itertools.groupby(found, key=lambda one: one.model):
        of_metrics = itertools.groupby(same, key=lambda one: one.metric)
        of_models.append(every([_OVER[judged.part.compare](one.verdict for one in group) for _, group in of_metrics]))
    return replace(judged, comparisons=found, verdict=_OVER[judged.part.which](of_models))


def _decided(comparison: Comparison, decision: Decision) -> Comparison:
    verdicts: dict[str, Verdict] = {"IMPROVED": "supported", "REGRESSED": "contradicted", "INVALID": "not tested"}
    verdict = verdicts.get(decision.verdict, "undecided")
    why = "" if verdict in ("supported", "contradicted") else MESSAGES[decision.reason]
    return replace(comparison, verdict=verdict, why=why, p=decision.p_adjusted)
