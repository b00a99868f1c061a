"""Simulated timings and features with planted effects: what docs/regression-tracking.md promises, number by number."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import simulate_gate
from gate_simulation import gates, timings
from gate_simulation.scenario import NONE, Row, Scenario

from trilemma.statistics import decision


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return simulate_gate.simulate()


@pytest.fixture(scope="module")
def histories() -> list[Any]:
    return simulate_gate.simulate_creep()


def described(scenario: Scenario) -> str:
    return f"{scenario.design}, {scenario.noise}, change: {scenario.change}"


def test_false_alarms_and_power_are_as_promised(rows: list[Row]) -> None:
    broken = {described(row.scenario): row.share("REGRESSED") for row in rows if not row.kept}
    assert broken == {}
    assert all(len(row.verdicts) == 1000 for row in rows)
    assert sum(row.scenario.promise != NONE for row in rows) > len(rows) / 2


def test_creep_is_caught_by_a_pinned_baseline_and_by_no_moving_one(histories: list[Any]) -> None:
    assert [(row.creep.measure, row.creep.against) for row in histories if not row.kept] == []


def test_without_a_change_improvements_are_as_rare_as_regressions(rows: list[Row]) -> None:
    same = [row for row in rows if row.scenario.change == "none" and not row.scenario.design.startswith("gate")]
    assert max(row.share("IMPROVED") for row in same) <= 0.02


def test_the_page_shows_these_numbers(rows: list[Row], histories: list[Any]) -> None:
    shown = simulate_gate.PAGE.read_text().split(simulate_gate.BEGIN)[1].split(simulate_gate.END)[0]
    assert shown == simulate_gate.markdown(rows, histories), "python scripts/simulate_gate.py --write"


def one(scenarios: list[Scenario], design: str, change: str) -> Row:
    scenario = next(one for one in scenarios if one.design.endswith(design) and one.change.startswith(change))
    return Row(scenario=scenario, verdicts=scenario.draw(np.random.default_rng(0)))


@pytest.mark.parametrize("broken", ["holm", "t_tail"])
def test_the_simulation_notices_a_missing_adjustment_and_normal_quantiles(
    broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert one(gates.gate_scenarios(), "no margin", "none").kept
    true_tail = decision.t_tail
    replacements: dict[str, Any] = {"holm": list, "t_tail": lambda t, _: true_tail(t, None)}
    monkeypatch.setattr(decision, broken, replacements[broken])
    assert not one(gates.gate_scenarios(), "no margin", "none").kept


def test_the_simulation_notices_a_missing_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    assert one(timings.interleaved_scenarios(), "interleaved", "⅓").kept
    monkeypatch.setattr(timings, "timing_test", partial(decision.Test.of_contrast, margin=0.0, better="lower"))
    assert not one(timings.interleaved_scenarios(), "interleaved", "⅓").kept
