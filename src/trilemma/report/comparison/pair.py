"""Two runs as their page sees them: their records, and the verdicts on all that they measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trilemma.report.record import Run, load
from trilemma.tracking.judged import Judged
from trilemma.tracking.series import differing, plan
from trilemma.tracking.two_runs import TwoRuns, compare_two
from trilemma.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two runs.

    Attributes:
        a: the baseline. b: the candidate.
        judged: what they say of each other.
    """

    a: Run
    b: Run
    judged: TwoRuns

    @property
    def series(self) -> tuple[Judged, ...]:
        """Every series that either run has, with its verdict."""
        return self.judged.series

    @property
    def models(self) -> list[str]:
        """All models of either run, B's first; contestants before controls."""
        return sorted(dict.fromkeys([*self.b.models, *self.a.models]), key=self.is_control)

    @property
    def shared(self) -> list[str]:
        """The models that both have."""
        return [model for model in self.models if not self.only_in(model)]

    @property
    def other_plan(self) -> list[str]:
        """In what the runs drew other images, whatever their models."""
        return differing(plan(self.judged.a), plan(self.judged.b))

    def is_control(self, model: str) -> bool:
        """Whether a model is a control in either run."""
        return self.a.is_control(model) or self.b.is_control(model)

    def is_random(self, model: str) -> bool:
        """Whether a model's weights were drawn in either run."""
        return self.a.is_random(model) or self.b.is_random(model)

    def only_in(self, model: str) -> str:
        """Returns the name of the one run that has the model; "" where both have it."""
        if model not in self.a.models:
            return "B"
        return "" if model in self.b.models else "A"


def load_pair(a: Path, b: Path, workspace: Workspace) -> Pair:
    """Returns the run in ``b`` beside the one in ``a``.

    Raises:
        UserError: a record is damaged, or has no numbers yet.
    """
    judged = compare_two(a, b, workspace)
    return Pair(a=load(a), b=load(b), judged=judged)
