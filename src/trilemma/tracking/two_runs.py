"""Two finished runs against each other: what ``compare`` prints and the page of two runs shows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trilemma.store.digests import verify
from trilemma.store.run import Run
from trilemma.tracking.gate import facts, rules_for
from trilemma.tracking.judge import judge
from trilemma.tracking.judged import Judged
from trilemma.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class TwoRuns:
    """What two runs say of each other.

    Attributes:
        a: the baseline. b: the candidate, of whose protocol the margins are.
        series: every series that either has, with its verdict.
        facts: what differs beside numbers, by model: the subject of the comparison.
    """

    a: Run
    b: Run
    series: tuple[Judged, ...]
    facts: dict[str, list[str]]

    @property
    def compared(self) -> bool:
        """Whether anything at all could be compared."""
        return any(one.difference is not None or one.verdict == "EXACT_SAME" for one in self.series)


def compare_two(a: Path, b: Path, workspace: Workspace) -> TwoRuns:
    """Returns the verdicts of the run in ``b`` against the one in ``a``.

    Raises:
        UserError: a record is damaged, or has no numbers yet.
    """
    baseline, candidate = Run(a), Run(b)
    for run in (baseline, candidate):
        verify(run, whole=False)
    shared = [model for model in candidate.models if model in baseline.models]
    return TwoRuns(
        a=baseline,
        b=candidate,
        series=tuple(judge([baseline], [candidate], rules_for(candidate, workspace))),
        facts=facts(baseline, candidate, shared),
    )
