"""Fresh processes for real, on a clock that counts work: what they give, and how they fail."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trilemma.card import Card
from trilemma.errors import UserError
from trilemma.protocol import Protocol
from trilemma.runner.busy import Snapshot
from trilemma.store.tables import TIMINGS, write_rows
from trilemma.tracking import processes
from trilemma.tracking.case import Case, case_of
from trilemma.tracking.processes import time_process, time_processes
from trilemma.tracking.side import other_side, own_side

CardOf = Callable[[str], Card]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_each_process_gives_the_median_of_its_calls(card_of: CardOf, protocol: Protocol, temporary: Path) -> None:
    told: list[tuple[int, int]] = []
    found = time_processes(
        card_of("renderer"), protocol, "offline", None, 2, allow_busy=True, told=lambda *a: told.append(a)
    )
    assert told == [(1, 2), (2, 2)] and [timing.number for timing in found] == [0, 1]
    for timing in found:
        assert timing.status == "ok" and timing.seconds is not None
        assert 0.004 <= timing.seconds <= 0.00402  # four images, 1 ms each and at most 0.4 % more
        assert [row["scenario"] for row in timing.rows] == ["warmup", "offline", "offline", "offline"]
        assert timing.subject["parameters"] == 3 and timing.hardware["fields"]["device"] == "cpu"
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("crashing", "RuntimeError: the renderer fell over"),
        ("dying", "the model's process was killed by SIGABRT. Its log ends: models print what they like"),
    ],
)
def test_a_process_that_fails_says_why_and_is_the_last(
    model: str, reason: str, card_of: CardOf, protocol: Protocol, temporary: Path
) -> None:
    (timing,) = time_processes(card_of(model), protocol, "single_stream", None, 3)
    assert (timing.status, timing.seconds, timing.reason) == ("failed", None, reason)
    assert list(temporary.iterdir()) == []


def test_a_version_without_timing_jobs_is_one_clear_error(
    older: Path, protocol: Protocol, card_of: CardOf, temporary: Path
) -> None:
    case = case_of("renderer", protocol, "offline")
    with pytest.raises(UserError) as caught:
        time_process(case, other_side(older, "renderer"))
    assert caught.value.what == f"the checkout at {older} cannot be timed: its version does not know timing jobs."
    assert caught.value.hint == "It said: KeyError: 'folder'"
    assert list(temporary.iterdir()) == []


def test_another_version_in_its_place_is_an_error(other: Path, protocol: Protocol, card_of: CardOf) -> None:
    ours = own_side(card_of("renderer"))
    side = replace(other_side(other, "renderer"), interpreter=ours.interpreter)
    with pytest.raises(UserError, match="its Python imports .*trilemma instead"):
        time_process(case_of("renderer", protocol, "offline"), side)


def test_a_busy_machine_is_asked_twice(card_of: CardOf, protocol: Protocol, monkeypatch: pytest.MonkeyPatch) -> None:
    case, side = case_of("renderer", protocol, "offline"), own_side(card_of("renderer"))
    loads = iter([0.9, 0.1, 0.9, 0.8, 0.9])
    monkeypatch.setattr(Snapshot, "cores_until", lambda *_: next(loads))
    assert time_process(case, side).status == "ok"
    busy = time_process(case, side)
    assert (busy.status, busy.load_of_others) == ("busy", 0.8)
    assert busy.reason == "busy machine: other processes used 0.8 cores"
    assert time_process(case, side, allow_busy=True).status == "ok"


def snapshot(moment: float, total: float, *used: tuple[int, float, float]) -> Snapshot:
    return Snapshot(moment=moment, total=total, seconds={(pid, born): seconds for pid, born, seconds in used})


def test_how_busy_others_were_between_two_snapshots() -> None:
    before = snapshot(10.0, 21.0, (1, 0, 5.0), (2, 0, 7.0), (3, 0, 9.0))
    # 1 worked for a second, 2 ended unnoticed, 3 slept, 4 is new, and another has the number of 1.
    after = snapshot(14.0, 18.0, (1, 0, 6.0), (3, 0, 9.0), (4, 11, 2.0), (1, 12, 1.0))
    assert before.cores_until(after) == 1.0
    # A child of 1 began, worked for two seconds, and ended.
    assert before.cores_until(snapshot(12.0, 23.0, (1, 0, 5.0), (2, 0, 7.0), (3, 0, 9.0))) == 1.0
    assert before.cores_until(snapshot(10.1, 21.03, (1, 0, 5.03))) == 0.0  # a few ticks
    assert before.cores_until(snapshot(10.0, 99.0, (1, 0, 6.0))) == 0.0


def test_our_own_processes_are_not_others() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, text=True) as child:
        pids = {pid for pid, _ in Snapshot.take().seconds}
        child.communicate("\n")
    assert child.pid not in pids


def rows(*nanoseconds: int | None, scenario: str = "offline", status: str = "ok") -> list[dict[str, Any]]:
    return [{"scenario": scenario, "wall_ns": wall, "status": status} for wall in nanoseconds]


@pytest.mark.parametrize(
    ("left", "seconds", "reason"),
    [
        (rows(9_000_000_000, scenario="warmup") + rows(1_000_000, 5_000_000, 2_000_000), 0.002, None),
        (rows(1, scenario="warmup"), None, "its calls have no time above 0"),
        (rows(1, 0, 1), None, "its calls have no time above 0"),
        (rows(None), None, "its calls have no time above 0"),
        (None, None, "its timings cannot be read"),
    ],
)
def test_what_a_process_left(
    left: list[dict[str, Any]] | None, seconds: float | None, reason: str | None, protocol: Protocol, tmp_path: Path
) -> None:
    path = tmp_path / "timings.parquet"
    if left is not None:
        write_rows(path, TIMINGS, left)
    _, found, why = processes._read(path, case_of("renderer", protocol, "offline"))
    assert found == seconds and (why or "").startswith(reason or "")


def test_a_case_has_the_prompts_of_the_first_set(protocol: Protocol) -> None:
    case: Case = case_of("renderer", protocol, "single_stream")
    assert len(case.prompts) == len(set(case.seeds)) == 16 and case.batch_size == 1
    assert case_of("renderer", protocol, "offline").batch_size == protocol.batch_size
    assert case_of("renderer", protocol, "offline", 7).title == "renderer offline 7"
    assert (case.metric, case.title) == ("latency_batch1", "renderer single-stream")


@pytest.mark.parametrize(("scenario", "size"), [("single_stream", 4), ("offline", -1), ("offline", 0)])
def test_an_impossible_batch_size_is_an_error(scenario: Any, size: int, protocol: Protocol) -> None:
    with pytest.raises(UserError, match="cannot be timed at batch size"):
        case_of("renderer", protocol, scenario, size)


def test_a_protocol_without_timing_is_an_error(protocol: Protocol) -> None:
    untimed: Any = replace(protocol, speed=None)  # type: ignore[arg-type]
    with pytest.raises(UserError, match='"small" times nothing'):
        case_of("renderer", untimed, "offline")
