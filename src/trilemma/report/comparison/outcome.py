"""What the verdicts of two runs come to: the sentences over the page, and what a reader must know before them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from trilemma.report import prose
from trilemma.report.catalog import describe
from trilemma.report.measures import SCORE_LABELS
from trilemma.report.names import brief
from trilemma.report.numbers import count
from trilemma.statistics.decision import Verdict
from trilemma.tracking.judge import IMAGES
from trilemma.tracking.judged import Judged

if TYPE_CHECKING:
    from trilemma.report.comparison.pair import Pair

WORDS: Mapping[Verdict, str] = {
    "REGRESSED": "regressed",
    "IMPROVED": "improved",
    "INVALID": "invalid",
    "MISSING": "missing",
    "SAME": "unchanged",
    "EXACT_SAME": "unchanged",
    "INCONCLUSIVE": "undecided",
    "INCOMPARABLE": "incomparable",
    "NEW": "new",
}
NAMED = ("regressed", "improved", "invalid")
"""Words whose series the sentence names; the table has them all."""
MOST_NAMES = 4


def counts(series: Iterable[Judged]) -> dict[str, int]:
    """Returns how many series each word stands for, in the order of :data:`WORDS`, without those that none has."""
    words = [WORDS[one.verdict] for one in series]
    return {word: words.count(word) for word in dict.fromkeys(WORDS.values()) if word in words}


def headline(pair: Pair) -> str:
    """Returns what changed: of what is gated, of the rest, and which models cannot be held against anything."""
    series = [one for one in pair.series if one.model in pair.shared]
    gated = [one for one in series if one.gated]
    others = [one for one in series if not one.gated]
    whose = "" if len(pair.shared) == len(pair.models) else " of models that both runs have"
    sentences = [
        _sentence(f"gated series{whose}", gated) if gated else "Nothing that both runs have is gated.",
        _sentence("other series", others) if others else "",
        *(_alone(name, [model for model in pair.models if pair.only_in(model) == name]) for name in ("A", "B")),
    ]
    return " ".join(filter(None, sentences))


def title_of(metric: str) -> str:
    """Returns what people call a series of a model."""
    return "Images, byte by byte" if metric == IMAGES else SCORE_LABELS.get(metric) or describe(metric).title


def stamps(pair: Pair) -> list[prose.Stamp]:
    """Returns what a reader needs before any verdict: one run twice, another plan, and what is wrong with either."""
    found = []
    if pair.a.record.run_id == pair.b.record.run_id:
        found.append(prose.Stamp(title="One run", text="Both sides are the same run: no more than chance can differ."))
    if pair.other_plan:
        text = f"What depends on the images is not compared: {'; '.join(pair.other_plan)}."
        found.append(prose.Stamp(title="Other plan", text=text))
    sides: dict[prose.Stamp, list[str]] = {}
    for name, run in (("A", pair.a), ("B", pair.b)):
        for stamp in prose.stamps(run):
            sides.setdefault(stamp, []).append(name)
    own = [prose.Stamp(title=f"{' and '.join(names)}: {one.title}", text=one.text) for one, names in sides.items()]
    return [*found, *own]


def _sentence(what: str, series: Sequence[Judged]) -> str:
    parts = [f"{count(number)} {word}{_names(series, word)}" for word, number in counts(series).items()]
    return f"Of {count(len(series))} {what}: {', '.join(parts)}."


def _names(series: Sequence[Judged], word: str) -> str:
    named = [f"{brief(one.model)} {title_of(one.metric)}" for one in series if WORDS[one.verdict] == word]
    return f" ({_some(named)})" if word in NAMED else ""


def _alone(run: str, models: Sequence[str]) -> str:
    return f"Only in {run}: {_some([brief(model) for model in models])}." if models else ""


def _some(names: Sequence[str]) -> str:
    rest = [f"{count(len(names) - MOST_NAMES)} more"] if len(names) > MOST_NAMES else []
    return ", ".join([*names[:MOST_NAMES], *rest])
