"""What is done to captions: dropped, or one factor wrong."""

from __future__ import annotations

import numpy as np

from trilemma.data import scenes
from trilemma.data.scenes_data import ScenesData
from trilemma.families.controls import read_prompt
from trilemma.training.captions import DROPPED, drop_captions, wrong_captions
from trilemma.training.loop import Step
from trilemma.training.split import TrainingSplit


def step(number: int) -> Step:
    return Step(number=number, progress=0.0, indices=np.arange(64) + 64 * number)


def test_a_tenth_of_the_captions_is_dropped() -> None:
    texts = [str(i) for i in range(64)]
    dropped = [drop_captions(texts, step(number)) for number in range(200)]
    count = sum(text == "" for batch in dropped for text in batch)
    expected = DROPPED * 200 * 64
    assert abs(count - expected) < 5 * np.sqrt(expected * (1 - DROPPED))
    assert all(given in ("", text) for batch in dropped for given, text in zip(batch, texts, strict=True))


def test_what_is_dropped_depends_on_the_step_alone() -> None:
    texts = ["a"] * 64
    assert drop_captions(texts, step(3)) == drop_captions(texts, step(3))
    assert drop_captions(texts, step(3)) != drop_captions(texts, step(4))


def test_exactly_one_factor_is_wrong() -> None:
    wrong_names = []
    for number in range(20):
        known = scenes.factors("train", step(number).indices)
        for row, text in enumerate(wrong_captions(TrainingSplit(ScenesData()), step(number))):
            told = read_prompt(text)
            wrong = [name for name in ("shape", "color", "background") if told[name] != getattr(known, name)[row]]
            assert len(wrong) == 1
            wrong_names += wrong
    assert min(wrong_names.count(name) for name in ("shape", "color", "background")) > 20 * 64 / 4
