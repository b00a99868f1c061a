"""Which settings a sweep has: every combination once, the default among them, each by one name."""

from __future__ import annotations

from pathlib import Path

import pytest

from trilemma.card import MOST_SETTINGS, Card
from trilemma.generator import Knob
from trilemma.protocol import load_protocol
from trilemma.registry import cards, load
from trilemma.runner.settings import for_sweeps, parse_knobs, sweep_of
from trilemma.workspace import find_workspace

ROOT = Path(__file__).resolve().parents[2]
STEPS = Knob(name="steps", kind="int", default=6, minimum=1, maximum=50, description="")
GUIDANCE = Knob(name="guidance", kind="float", default=1.5, minimum=1, maximum=9, description="")
CARD = Card(name="mine", family="gan", knobs={"steps": 6, "guidance": 1.5}, path=Path("x"))


def names(**values: list[float]) -> list[str]:
    return [card.name for card in sweep_of(CARD, values, (STEPS, GUIDANCE)).cards]


def test_a_setting_is_named_by_what_differs_from_the_default() -> None:
    grid = ["mine@guidance=1+steps=4", "mine@steps=4", "mine@guidance=1", "mine"]
    assert names(steps=[4, 6], guidance=[1, 1.5]) == grid
    assert names(guidance=[1]) == ["mine", "mine@guidance=1"]


def test_settings_of_equal_effect_are_one() -> None:
    assert names(steps=[4, 4.0, 6]) == ["mine@steps=4", "mine"]


def test_a_default_outside_of_the_grid_comes_first() -> None:
    assert names(steps=[4, 8]) == ["mine", "mine@steps=4", "mine@steps=8"]
    assert names(steps=[4], guidance=[1]) == ["mine", "mine@guidance=1+steps=4"]


def test_knobs_are_read_as_they_are_typed() -> None:
    assert parse_knobs(["a=1, 2.5,1e-3", "b = -1"]) == {"a": (1, 2.5, 0.001), "b": (-1,)}


def test_the_clock_gets_less_time_and_one_batch_and_nothing_else_changes() -> None:
    whole = load_protocol(ROOT / "benchmarks" / "scenes.toml")
    shorter = for_sweeps(whole)
    assert whole.speed is not None and shorter.speed is not None
    assert shorter.speed.budget_seconds == whole.speed.budget_seconds, "else slow settings lose their large batch"
    assert shorter.speed.batch_sizes == (1, whole.batch_size) and shorter.sets == whole.sets


@pytest.mark.parametrize("name", ["gan", "vqar", "var", "ldm"])
def test_the_declared_sweeps_hold_the_default(name: str) -> None:
    card = cards(find_workspace(ROOT))[name]
    found = sweep_of(card, card.sweep, load(card, "cpu").info.knobs)
    assert card.name in [one.name for one in found.cards]
    assert 6 <= len(found.cards) <= MOST_SETTINGS
