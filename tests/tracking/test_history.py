"""A history: what may be joined, what is said of a change, and within what a step is looked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from trilemma.report.history_texts import change, marks
from trilemma.tracking.history import History, Observation, SeriesName, Step, history, identity_of

FD = SeriesName(model="gan", metric="fd_scenes")
RATE = SeriesName(model="gan", metric="images_per_second")
HERE = {"device": "cpu", "machine": "a CPU", "cores": 2, "memory_gib": 8, "torch": "2.14"}
ROW = {
    "metric_version": 1, "extractor": "features:abc", "params": {"reference": "r1"}, "seed": 0, "samples": None,
    "hardware": "h1",
}  # fmt: skip


def run(number: int, value: float | None, name: SeriesName = FD, **row: Any) -> Observation:
    row = ROW | row
    protocol = row.pop("protocol", "scenes/1")
    seen = Observation(
        run_id=f"run-{number:03d}",
        created="2026-08-01T00:00:00Z",
        protocol=protocol,
        value=value,
        se=0.1,
        status="ok",
        hardware=row["hardware"],
        machine=HERE | row.pop("machine", {}),
        identity=identity_of(name.metric, protocol, row),
    )
    return seen if value is not None else replace(seen, status="failed", reason="it fell over", se=None, identity={})


def series(*observations: Observation, name: SeriesName = FD, **baselines: list[str]) -> History:
    return history(name, observations, {key.replace("_", "-"): names for key, names in baselines.items()})


def lines(found: History) -> list[int | None]:
    return [point.line for point in found.points]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"protocol": "scenes/2"}, "protocol scenes/1 → scenes/2"),
        ({"metric_version": 2}, "metric version 1 → 2"),
        ({"seed": 3}, "seed 0 → 3"),
        ({"samples": 512}, "images per set all → 512"),
        ({"extractor": "features:" + "0" * 16}, "extractor features:abc → features:00000000"),
        ({"params": {"reference": "r2"}}, "reference r1 → r2"),
    ],
)
def test_another_measurement_begins_another_line(row: dict[str, Any], said: str) -> None:
    found = series(run(1, 5.0), run(2, 6.0, **row), run(3, 5.0))
    assert lines(found) == [0, 1, 0]
    assert found.points[1].changes == (said,)
    assert len(found.points[2].changes) == 1 and found.points[0].changes == ()


def test_another_machine_breaks_times_and_is_noted_for_quality() -> None:
    moved = {"hardware": "h2", "machine": {"machine": "another CPU", "cores": 8}}
    quality = series(run(1, 5.0), run(2, 5.0, **moved))
    times = series(run(1, 50.0, RATE), run(2, 80.0, RATE, **moved), name=RATE)
    assert lines(quality) == [0, 0] and lines(times) == [0, 1]
    said = ("machine a CPU → another CPU", "cores 2 → 8")
    assert quality.points[1].changes == times.points[1].changes == said
    unnamed = series(run(1, 5.0), run(2, 5.0, hardware="h2"))
    assert unnamed.points[1].changes == ("another class of machine",)


def test_seed_and_size_do_not_break_times() -> None:
    assert lines(series(run(1, 50.0, RATE), run(2, 51.0, RATE, seed=1, samples=64), name=RATE)) == [0, 0]


def test_a_run_without_a_value_is_a_gap_with_its_reason() -> None:
    found = series(run(1, 5.0), run(2, None), run(3, 5.0, seed=1))
    assert lines(found) == [0, None, 1]
    assert found.points[1].seen.value is None
    assert marks(found, 1) == ["failed: it fell over"]
    assert found.points[2].changes == ("seed 0 → 1",)  # against the last value, not against the gap


def test_a_gap_of_a_protocol_that_never_measures_this_is_none() -> None:
    found = series(run(1, 5.0), run(2, None, protocol="counters/1"), run(3, 5.0))
    assert [point.seen.run_id for point in found.points] == ["run-001", "run-003"]
    assert series(run(1, None)).points == ()


def nights(count: int, step: float, first: int = 0, **row: Any) -> list[Observation]:
    noise = np.random.default_rng(1).normal(size=count)
    return [run(first + i, 10 + 0.01 * noise[i] + step * (i >= count // 2), **row) for i in range(count)]


def test_a_step_is_marked_as_advisory() -> None:
    found = series(*nights(20, 1.0), run_003=["main"])
    (step,) = found.steps
    assert step.at == 10 and step.relative == pytest.approx(0.1, abs=0.01)
    assert marks(found, 10) == [f"step {change(step)} (advisory)"] and change(step).startswith("+10.")
    assert marks(found, 3) == ["baseline main"] and marks(found, 4) == []
    assert [stretch.points for stretch in found.stretches] == [tuple(range(10)), tuple(range(10, 20))]


@pytest.mark.parametrize("row", [{"seed": 1}, {"hardware": "h2"}])
def test_a_change_of_machine_or_measurement_is_no_step(row: dict[str, Any]) -> None:
    moved = [replace(one, value=(one.value or 0) + 5.0) for one in nights(10, 0.0, first=10, **row)]
    assert series(*nights(10, 0.0), *moved).steps == ()


def test_machines_that_take_turns_are_two_series_for_steps() -> None:
    a, b = nights(20, 1.0), nights(20, 0.0, first=20, hardware="h2")
    turns = [one for pair in zip(a, b, strict=True) for one in pair]
    (step,) = series(*turns).steps
    assert step.at == 20  # the eleventh run of the first machine


def test_a_gap_does_not_move_a_step() -> None:
    observations = nights(20, 1.0)
    found = series(*observations[:5], run(900, None), *observations[5:])
    assert [step.at for step in found.steps] == [11]


def test_the_newest_keep_the_levels_of_the_whole() -> None:
    whole = series(*nights(40, 1.0))
    cut = whole.newest(15)
    assert [point.seen.run_id for point in cut.points] == [f"run-{i:03d}" for i in range(25, 40)]
    assert cut.steps == () and [stretch.points for stretch in cut.stretches] == [tuple(range(15))]
    assert cut.stretches[0].value == whole.stretches[1].value
    later = whole.newest(25)
    assert [step.at for step in later.steps] == [5] and later.newest(None) == later
    assert whole.newest(400) == whole


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        (10.0, 10.5, "+5.0 %"),
        (10.0, 9.0, "−10.0 %"),
        (1.0, 1.0001, "+0.010 %"),
        (-1.0, 2.0, "+3"),
        (0.5, -0.25, "−0.75"),
    ],
)
def test_a_change_is_a_share_only_where_there_is_one(before: float, after: float, text: str) -> None:
    assert change(Step(at=0, before=before, after=after)) == text
