"""A candidate against a pinned baseline: every gated series' verdict, and the exit code that they come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from trilemma.errors import UserError
from trilemma.metrics.catalog import check_names
from trilemma.protocol import Protocol
from trilemma.protocols import find_protocol
from trilemma.statistics.decision import Decision
from trilemma.store.baselines import Baseline
from trilemma.store.digests import verify
from trilemma.store.metric_rows import read_metrics
from trilemma.store.run import Run
from trilemma.store.sessions import check_alike
from trilemma.strict_toml import build
from trilemma.tracking.calibration import Calibration, find_calibration
from trilemma.tracking.judge import Rules, judge
from trilemma.tracking.judged import FAILING, PASSING, UNDECIDED, Judged
from trilemma.tracking.series import differing, plan, subject
from trilemma.workspace import Workspace

OK, FAILED, UNDECIDED_EXIT = 0, 1, 3


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a gate found.

    Attributes:
        baseline, candidate: what was compared, for people.
        series: every series, gated or not.
        facts: what differs between the two sides beside numbers, by model: the subject of the comparison.
        other_plan: in what the candidate was measured otherwise: no protocol, seed or size of the baseline's.
    """

    baseline: str
    candidate: str
    series: tuple[Judged, ...]
    facts: dict[str, list[str]]
    other_plan: tuple[str, ...] = ()

    @property
    def gated(self) -> list[Judged]:
        """The series that count."""
        return [one for one in self.series if one.gated]

    def count(self) -> dict[str, int]:
        """Returns how many gated series have each verdict that occurs."""
        found = Counter(one.verdict for one in self.gated)
        return {verdict: found[verdict] for verdict in (*FAILING, *UNDECIDED, *PASSING) if found[verdict]}

    def exit_code(self, *, strict: bool) -> int:
        """Returns 1 where a gated series fails, 3 where none could be decided, or with ``strict`` not all; else 0.

        Also 3 of a candidate with another plan: counters that agree are no proof of quality that was not compared.
        """
        verdicts = [one.verdict for one in self.gated]
        if any(verdict in FAILING for verdict in verdicts):
            return FAILED
        open_ones = [verdict for verdict in verdicts if verdict in UNDECIDED]
        nothing_decided = len(open_ones) == len(verdicts) or bool(self.other_plan)
        return UNDECIDED_EXIT if nothing_decided or (strict and open_ones) else OK


def gate(candidates: Sequence[Run], baseline: Baseline, workspace: Workspace) -> Outcome:
    """Returns the verdicts of finished runs against a baseline.

    Args:
        candidates: the first is judged for quality; together they are the sessions of times.

    Raises:
        UserError: the baseline is damaged, the candidates are not sessions of one version or are the baseline's own,
            or the protocol gates nothing, or what there is not.
    """
    run = candidates[0]
    check_alike(candidates, "candidate")
    _check_other(candidates, baseline)
    rules = rules_for(run, workspace)
    _check_gate(rules, run)
    baseline.verify()
    damage = next((found for one in candidates if (found := unusable(one)) is not None), None)
    series = (
        _all_invalid(baseline, rules, damage) if damage else judge(baseline.runs, candidates, rules, baseline.models)
    )
    return Outcome(
        baseline=baseline.name,
        candidate=", ".join(one.record.run_id for one in candidates),
        series=tuple(series),
        facts=facts(baseline.runs[0], run, baseline.models),
        other_plan=tuple(differing(plan(baseline.runs[0]), plan(run))),
    )


def _check_other(candidates: Sequence[Run], baseline: Baseline) -> None:
    for run in candidates:
        if run.record.run_id in baseline.manifest.runs:
            raise UserError(
                f'this run is of the baseline "{baseline.name}" itself: equal numbers would prove nothing.',
                where=run.record.run_id,
                hint="Measure again, and gate the new run.",
            )


def _check_gate(rules: Rules, run: Run) -> None:
    if not rules.gate.metrics and not rules.gate.exact_images:
        raise UserError(
            "this protocol gates nothing.", where=run.record.spec["protocol"]["name"], hint="Add a [gate] table to it."
        )


def rules_for(run: Run, workspace: Workspace) -> Rules:
    """Returns the gate of a run's protocol, as the workspace has it today, and the calibration of its machine's class.

    Where the workspace has no such protocol, it is that of the record.
    """
    spec = run.record.spec["protocol"]
    name = spec["name"]
    known = (workspace.benchmarks / f"{name}.toml").is_file()
    protocol = find_protocol(name, workspace) if known else build(Protocol, spec, where=str(run.folder.record))
    check_names(protocol)
    return Rules(gate=protocol.gate, calibration=_calibration(run, workspace))


def facts(baseline: Run, candidate: Run, models: Sequence[str]) -> dict[str, list[str]]:
    """Returns what differs in the subject of each model: knobs, weights, version."""
    found = {model: differing(subject(baseline, model), subject(candidate, model)) for model in models}
    return {model: fields for model, fields in found.items() if fields}


def unusable(run: Run) -> tuple[str, str] | None:
    """Returns why nothing of a run can be relied on: the code of the reason, and a sentence; None where it can."""
    if run.record.status == "started":
        return "run_not_finished", f"{run.record.run_id} has not been finished"
    if run.record.status == "cancelled":
        return "run_not_finished", f"{run.record.run_id} was interrupted"
    try:
        verify(run)
        read_metrics(run.folder.metrics)
    except UserError as error:
        return "record_damaged", str(error)
    return None


def _calibration(run: Run, workspace: Workspace) -> Calibration | None:
    """Of another version of the protocol, which may time or draw otherwise, it says nothing."""
    protocol = run.record.spec["protocol"]
    digests = {keys.get("hardware", {}).get("digest") for keys in run.record.keys.values()} - {None}
    if len(digests) != 1:
        return None
    found = find_calibration(workspace.results, protocol["name"], digests.pop())
    return found if found is not None and found.protocol.version == protocol["version"] else None


def _all_invalid(baseline: Baseline, rules: Rules, damage: tuple[str, str]) -> list[Judged]:
    """What the baseline has, and the candidate cannot be asked for."""
    settled = judge(baseline.runs, baseline.runs, rules, baseline.models)
    decision = Decision(verdict="INVALID", reason=damage[0])
    return [
        Judged(
            model=one.model,
            metric=one.metric,
            gated=one.gated,
            decision=decision,
            message=damage[1],
            baseline=one.baseline,
            unit=one.unit,
        )
        for one in settled
    ]


def with_series(outcome: Outcome, series: Sequence[Judged]) -> Outcome:
    """Returns an outcome with some series judged anew, by name."""
    anew = {one.name: one for one in series}
    return replace(outcome, series=tuple(anew.get(one.name, one) for one in outcome.series))
