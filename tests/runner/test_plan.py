"""Which images a run makes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trilemma.data import scenes
from trilemma.errors import UserError
from trilemma.protocol import load_protocol
from trilemma.runner.plan import batches, plan

SCENES = load_protocol(Path(__file__).resolve().parents[2] / "benchmarks" / "scenes.toml")
WHOLE = plan(SCENES, 0)


def test_the_sets_of_scenes() -> None:
    assert {name: len(entries) for name, entries in WHOLE.items()} == dict.fromkeys(WHOLE, 2048)
    prompted, empty, within = WHOLE["prompted"], WHOLE["unconditional"], WHOLE["within_prompt"]
    assert [entry.prompt for entry in prompted[:3]] == scenes.captions("prompts", [0, 1, 2])
    truth = scenes.factors("prompts", [5])
    assert prompted[5].target == (truth.shape[0], truth.color[0], truth.background[0])
    assert {(entry.prompt_id, entry.prompt, entry.target) for entry in empty} == {("empty", "", (-1, -1, -1))}
    assert [entry.index for entry in empty[:3]] == [0, 1, 2]
    assert len({entry.prompt_id for entry in within}) == 64
    assert [(entry.prompt_id, entry.index) for entry in within[31:33]] == [
        ("prompts-within-0", 31),
        ("prompts-within-1", 0),
    ]


def test_keys_and_seeds_are_all_different() -> None:
    entries = [entry for planned in WHOLE.values() for entry in planned]
    assert len({entry.key for entry in entries}) == len({entry.seed for entry in entries}) == len(entries)


@settings(max_examples=20)
@given(st.integers(1, 3000))
def test_fewer_samples_are_the_beginning_of_the_whole(samples: int) -> None:
    cut = plan(SCENES, 0, samples)
    for name, entries in cut.items():
        assert entries == WHOLE[name][: len(entries)]
    assert len(cut["prompted"]) == len(cut["unconditional"]) == min(samples, 2048)
    within = len(cut["within_prompt"])
    assert within == min(samples, 2048) // 32 * 32 if samples >= 32 else within == samples


def test_another_run_seed_changes_seeds_and_no_key() -> None:
    other = plan(SCENES, 1, 8)["prompted"]
    assert [entry.key for entry in other] == [entry.key for entry in WHOLE["prompted"][:8]]
    assert not {entry.seed for entry in other} & {entry.seed for entry in WHOLE["prompted"]}


def test_batches_follow_the_plan_alone() -> None:
    sizes = [(number, len(chosen)) for number, chosen in batches(WHOLE["prompted"][:150], 64)]
    assert sizes == [(0, 64), (1, 64), (2, 22)]


def test_mistakes_are_named() -> None:
    with pytest.raises(UserError, match="--samples"):
        plan(SCENES, 0, 0)
    with pytest.raises(UserError, match='no data set "cats"'):
        plan(replace(SCENES, data="cats"), 0)
