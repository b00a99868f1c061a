"""A slower time is measured again before it counts: what stands, what falls, and what may not turn an alarm off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trilemma.errors import UserError
from trilemma.protocol import Gate
from trilemma.store.baselines import Baseline, Proposal, accept
from trilemma.tracking import confirm as confirming
from trilemma.tracking.confirm import confirm
from trilemma.tracking.gate import Outcome
from trilemma.tracking.judge import Rules, judge
from trilemma.tracking.judged import Judged
from trilemma.tracking.processes import ProcessTiming
from trilemma.workspace import Workspace, find_workspace

CHECKOUT = Path(__file__).resolve().parents[2]
RULES = Rules(gate=Gate(metrics=("latency_batch1", "images_per_second", "fd_scenes")))
HARDWARE = {"device": "cpu", "name": "a CPU", "count": 2, "memory_gib": 24, "torch": "2.14"}
Timed = Callable[..., list[ProcessTiming]]


def timing(seconds: float | None, **values: Any) -> ProcessTiming:
    keys: dict[str, Any] = {"execution": {"fields": {"threads": 2, "batch_size": 1}}, "hardware": {"fields": HARDWARE}}
    return ProcessTiming(side="B", number=0, started="", seconds=seconds, **{**keys, **values})


def steady(seconds: float) -> Timed:
    """Processes that take so long for a call, by turns a little more and less."""
    return lambda *_, told, **__: [timing(seconds * factor) for factor in (0.999, 1.0, 1.001)]


@pytest.fixture
def workspace() -> Workspace:
    return find_workspace(CHECKOUT)


@pytest.fixture
def pinned(maker: Any, tmp_path: Path) -> Baseline:
    return accept(Proposal(name="main", runs=maker.sessions(5), reason="x", tool={}), tmp_path / "baselines")


@pytest.fixture(autouse=True)
def _any_card(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "revision" not in request.node.name:
        monkeypatch.setattr(confirming, "_card", lambda *_: None)


def outcome(pinned: Baseline, runs: list[Any]) -> Outcome:
    series = judge(pinned.runs, runs, RULES)
    return Outcome(baseline="main", candidate="", series=tuple(series), facts={})


def again(pinned: Baseline, runs: list[Any], workspace: Workspace, timed: Timed, monkeypatch: Any) -> dict[str, Judged]:
    monkeypatch.setattr(confirming, "time_processes", timed)
    before = outcome(pinned, runs)
    assert next(one for one in before.series if one.metric == "latency_batch1").verdict == "REGRESSED"
    found = confirm(before, runs[0], pinned, workspace, None, lambda *_: None)
    return {one.metric: one for one in found.series}


@pytest.mark.parametrize(
    ("timed", "verdict", "reason"),
    [
        (steady(0.056), "REGRESSED", "bound_above_zero_and_margin"),
        (steady(0.050), "INCONCLUSIVE", "not_confirmed"),
        (lambda *_, **__: [timing(None, status="failed", reason="it died")], "INVALID", "status_failed"),
        (lambda *_, **__: [timing(0.05, hardware={"fields": {"name": "a laptop"}})], "INVALID", "another_machine"),
        (lambda *_, **__: [timing(0.05, status="busy", reason="a browser")], "INVALID", "busy_machine"),
    ],
)
def test_a_slower_time_must_repeat(
    maker: Any, pinned: Baseline, workspace: Workspace, monkeypatch: Any, timed: Timed, verdict: str, reason: str
) -> None:
    runs = maker.sessions(2, first=2, latency=0.056)
    found = again(pinned, runs, workspace, timed, monkeypatch)["latency_batch1"]
    assert (found.verdict, found.decision.reason) == (verdict, reason)
    assert found.message and ("so again" in found.message) == (verdict == "REGRESSED")


def test_a_rate_is_confirmed_by_the_time_of_an_image(
    maker: Any, pinned: Baseline, workspace: Workspace, monkeypatch: Any
) -> None:
    runs = maker.sessions(2, first=2, rate=80.0, latency=0.056)
    for run in runs:
        maker.edit(run, "images_per_second", params={"batch_size": 16})
    runs = [type(run)(run.folder.path) for run in runs]
    found = again(pinned, runs, workspace, steady(16 / 80), monkeypatch)
    assert found["images_per_second"].verdict == "REGRESSED"
    found = again(pinned, runs, workspace, steady(16 / 100), monkeypatch)
    assert found["images_per_second"].verdict == "INCONCLUSIVE"


def test_quality_and_what_passed_are_not_measured_again(
    maker: Any, pinned: Baseline, workspace: Workspace, monkeypatch: Any
) -> None:
    def never(*_: Any, **__: Any) -> list[ProcessTiming]:
        raise AssertionError("nothing here is to be timed")

    monkeypatch.setattr(confirming, "time_processes", never)
    before = outcome(pinned, maker.sessions(2, first=2, version="2", distance=12.0))
    assert [one.metric for one in before.gated if one.verdict == "REGRESSED"] == ["fd_scenes"]
    assert confirm(before, pinned.runs[0], pinned, workspace, None, lambda *_: None) == before


def test_a_model_of_another_revision_cannot_confirm(maker: Any, pinned: Baseline, workspace: Workspace) -> None:
    runs = maker.sessions(2, first=2, latency=0.056)
    with pytest.raises(UserError, match="not the one that the run measured"):
        confirm(outcome(pinned, runs), runs[0], pinned, workspace, None, lambda *_: None)


def test_the_repetition_runs_where_the_candidate_ran(
    maker: Any, pinned: Baseline, workspace: Workspace, monkeypatch: Any
) -> None:
    asked: list[str] = []

    def timed(*_: Any, device: str, **__: Any) -> list[ProcessTiming]:
        asked.append(device)
        return [timing(0.056)]

    runs = maker.sessions(2, first=2, latency=0.056)
    runs[0].record.spec["device"] = "cpu"
    again(pinned, runs, workspace, timed, monkeypatch)
    assert set(asked) == {"cpu"}


def test_sessions_of_another_machine_confirm_nothing(
    maker: Any, workspace: Workspace, tmp_path: Path, monkeypatch: Any
) -> None:
    """Slow sessions elsewhere are no part of what the time was compared with, and must not excuse it."""
    slow = maker.sessions(5, first=3, latency=0.060, hardware={"device": "cpu", "name": "a slow CPU"})
    proposal = Proposal(name="main", runs=[*maker.sessions(5), *slow], reason="x", tool={})
    pinned = accept(proposal, tmp_path / "baselines")
    found = again(pinned, maker.sessions(2, first=2, latency=0.056), workspace, steady(0.056), monkeypatch)
    assert found["latency_batch1"].verdict == "REGRESSED"
