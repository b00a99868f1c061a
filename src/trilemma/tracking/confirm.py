"""A slower time is measured again, in fresh processes, before it counts.

Where the baseline's own checkout is at hand, both versions are timed in turn: that sees neither the session nor its
drift. Else the candidate is timed in two more sessions, and these are compared with the baseline's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from trilemma.card import Card
from trilemma.errors import UserError
from trilemma.protocol import Protocol
from trilemma.registry import find_card, find_protocol
from trilemma.runner.timing_job import Scenario
from trilemma.statistics.contrasts import CANDIDATE_SESSIONS, positive_logs, sessions
from trilemma.statistics.decision import Decision, Test, confirmed
from trilemma.store.baselines import Baseline
from trilemma.store.run import Run
from trilemma.tracking.case import METRIC, case_of
from trilemma.tracking.gate import Outcome, rules_for, with_series
from trilemma.tracking.interleave import interleave
from trilemma.tracking.judge import Rules
from trilemma.tracking.judged import MESSAGES, Judged
from trilemma.tracking.processes import ProcessTiming, time_processes
from trilemma.tracking.side import other_side, own_side
from trilemma.tracking.timing_verdict import timing_test
from trilemma.workspace import Workspace

PROCESSES = 3
"""In each of the candidate's new sessions."""
SCENARIOS: dict[str, Scenario] = {metric: scenario for scenario, metric in METRIC.items()}

Told = Callable[[str, int, int], None]


def confirm(
    outcome: Outcome, candidate: Run, baseline: Baseline, workspace: Workspace, checkout: Path | None, told: Told
) -> Outcome:
    """Returns the outcome after every gated time that is REGRESSED has been measured again.

    Args:
        candidate: the run whose models the workspace still has.
        checkout: of the version that the baseline is of; None compares with the baseline's stored sessions.

    Raises:
        UserError: the workspace's model is not the one that the candidate ran, or the checkout cannot be timed.
    """
    flagged = [one for one in outcome.gated if one.verdict == "REGRESSED" and one.metric in SCENARIOS]
    if not flagged:
        return outcome
    protocol = find_protocol(candidate.record.spec["protocol"]["name"], workspace)
    rules = rules_for(candidate, workspace)
    cards = {one.model: _card(one.model, candidate, workspace) for one in flagged}
    again = []
    for one in flagged:
        size = _batch_size(candidate, one)
        if checkout is not None:
            decision = _interleaved(one, cards[one.model], protocol, size, rules, checkout, told)
        else:
            decision = _sessions(one, cards[one.model], protocol, size, baseline, told)
        again.append(replace(one, decision=decision, message=_message(one, decision)))
    return with_series(outcome, again)


def _card(model: str, candidate: Run, workspace: Workspace) -> Card:
    card = find_card(model, workspace)
    measured = candidate.record.keys[model]["case"]["fields"]["revision"]
    if card.revision != measured:
        raise UserError(
            f'the model "{model}" is not the one that the run measured, so its time cannot be confirmed.',
            where=str(card.path),
            hint="Confirm with the checkout that made the run, or gate without --confirm.",
        )
    return card


def _batch_size(candidate: Run, one: Judged) -> int | None:
    row = candidate.row(one.model, one.metric)
    return None if row is None or SCENARIOS[one.metric] == "single_stream" else row.params["batch_size"]


def _interleaved(
    one: Judged, card: Card, protocol: Protocol, size: int | None, rules: Rules, checkout: Path, told: Told
) -> Decision:
    case = case_of(card.name, protocol, SCENARIOS[one.metric], size)
    measured = interleave(
        case, other_side(checkout, card.name), own_side(card), told=lambda done, total: told(one.name, done, total)
    )
    broken = _broken(measured.timings)
    return broken or confirmed(one.decision, timing_test(measured, rules.uncalibrated))


def _sessions(
    one: Judged, card: Card, protocol: Protocol, size: int | None, baseline: Baseline, told: Told
) -> Decision:
    means = []
    for session in range(CANDIDATE_SESSIONS):

        def progress(done: int, total: int, before: int = session * PROCESSES) -> None:
            told(one.name, before + done, CANDIDATE_SESSIONS * total)

        timings = time_processes(card, protocol, SCENARIOS[one.metric], size, PROCESSES, told=progress)
        if (broken := _broken(timings)) is not None:
            return broken
        seconds = [timing.seconds for timing in timings if timing.seconds is not None]
        means.append(float(positive_logs(seconds).mean()))
    return confirmed(one.decision, _test(one, np.asarray(means) - np.log(size or 1), baseline))


def _test(one: Judged, candidate_logs: np.ndarray, baseline: Baseline) -> Test:
    """Times per image: a rate of the record is turned over."""
    rows = [run.row(one.model, one.metric) for run in baseline.runs]
    logs = positive_logs([row.value for row in rows if row is not None and row.value is not None])
    before = -logs if one.metric == "images_per_second" else logs
    assert one.margin is not None
    return Test.of_contrast(sessions(before, candidate_logs), one.margin, better="lower")


def _broken(timings: Sequence[ProcessTiming]) -> Decision | None:
    """A process that failed, or a busy machine, turns no alarm off."""
    broken = next((timing for timing in timings if timing.status != "ok"), None)
    if broken is None:
        return None
    return Decision(verdict="INVALID", reason="busy_machine" if broken.status == "busy" else "status_failed")


def _message(one: Judged, decision: Decision) -> str:
    if decision.verdict == "REGRESSED":
        return f"{one.message}; measured again in fresh processes, it is so again"
    return MESSAGES.get(decision.reason, decision.reason)
