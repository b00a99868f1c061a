"""A slower time is measured again, in fresh processes, before it counts.

Where the baseline's own checkout is at hand, both versions are timed in turn: that sees neither the session nor its
drift. Else the candidate is timed in two more sessions, and these are compared with the baseline's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trilemma.card import Card
from trilemma.errors import UserError
from trilemma.protocol import Protocol
from trilemma.protocols import find_protocol
from trilemma.registry import select
from trilemma.runner.timing_job import Scenario
from trilemma.statistics.contrasts import CANDIDATE_SESSIONS, positive_logs, sessions
from trilemma.statistics.decision import Decision, Test, confirmed
from trilemma.store.baselines import Baseline
from trilemma.store.run import Run
from trilemma.tracking.calibration import BATCH_FIELDS
from trilemma.tracking.case import METRIC, case_of
from trilemma.tracking.gate import Outcome, rules_for, with_series
from trilemma.tracking.interleave import execution_and_hardware, interleave
from trilemma.tracking.judge import Rules
from trilemma.tracking.judged import MESSAGES, Judged
from trilemma.tracking.processes import ProcessTiming, time_processes
from trilemma.tracking.series import differing, machine, measurement
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
    cards = {one.model: _card(one.model, candidate, protocol, workspace) for one in flagged}
    again = []
    for one in flagged:
        if checkout is not None:
            decision = _interleaved(one, cards[one.model], protocol, candidate, rules, checkout, told)
        else:
            decision = _sessions(one, cards[one.model], protocol, candidate, baseline, told)
        again.append(replace(one, decision=decision, message=_message(one, decision)))
    return with_series(outcome, again)


def _card(model: str, candidate: Run, protocol: Protocol, workspace: Workspace) -> Card:
    [card] = select([model], workspace, protocol)
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
    one: Judged, card: Card, protocol: Protocol, candidate: Run, rules: Rules, checkout: Path, told: Told
) -> Decision:
    size, device = _batch_size(candidate, one), candidate.record.spec["device"]
    case = case_of(card.name, protocol, SCENARIOS[one.metric], size, device)
    measured = interleave(
        case, other_side(checkout, card.name), own_side(card), told=lambda done, total: told(one.name, done, total)
    )
    broken = _broken(measured.timings, machine(candidate, one.model))
    return broken or confirmed(one.decision, timing_test(measured, rules.uncalibrated))


def _sessions(one: Judged, card: Card, protocol: Protocol, candidate: Run, baseline: Baseline, told: Told) -> Decision:
    size, device = _batch_size(candidate, one), candidate.record.spec["device"]
    scenario, means = SCENARIOS[one.metric], []
    for session in range(CANDIDATE_SESSIONS):

        def progress(done: int, total: int, before: int = session * PROCESSES) -> None:
            told(one.name, before + done, CANDIDATE_SESSIONS * total)

        timings = time_processes(card, protocol, scenario, size, PROCESSES, device=device, told=progress)
        if (broken := _broken(timings, machine(candidate, one.model))) is not None:
            return broken
        seconds = [timing.seconds for timing in timings if timing.seconds is not None]
        means.append(float(positive_logs(seconds).mean()))
    return confirmed(one.decision, _test(one, np.asarray(means) - np.log(size or 1), candidate, baseline))


def _test(one: Judged, candidate_logs: np.ndarray, candidate: Run, baseline: Baseline) -> Test:
    """Times per image: a rate of the record is turned over. Of the baseline, the sessions that the verdict rests on."""
    row = candidate.row(one.model, one.metric)
    assert row is not None
    own = measurement(candidate, row)
    rows = [(run, run.row(one.model, one.metric)) for run in baseline.runs]
    alike = [row for run, row in rows if row is not None and not differing(measurement(run, row), own)]
    logs = positive_logs([row.value for row in alike if row.value is not None])
    before = -logs if one.metric == "images_per_second" else logs
    assert one.margin is not None
    return Test.of_contrast(sessions(before, candidate_logs), one.margin, better="lower")


def _broken(timings: Sequence[ProcessTiming], measured: Mapping[str, Any]) -> Decision | None:
    """A process that failed, a busy machine, or another one than the candidate's turns no alarm off."""
    broken = next((timing for timing in timings if timing.status != "ok"), None)
    if broken is not None:
        return Decision(verdict="INVALID", reason="busy_machine" if broken.status == "busy" else "status_failed")
    if any(differing(_comparable(execution_and_hardware(timing)), _comparable(measured)) for timing in timings):
        return Decision(verdict="INVALID", reason="another_machine")
    return None


def _comparable(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A run has a sweep of batch sizes, a process that confirms it only one."""
    return {name: value for name, value in fields.items() if name.partition(".")[2] not in BATCH_FIELDS}


def _message(one: Judged, decision: Decision) -> str:
    if decision.verdict == "REGRESSED":
        return f"{one.message}; measured again in fresh processes, it is so again"
    return MESSAGES.get(decision.reason, decision.reason)
