"""The gates: how much of what was asked for is read off the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from trilemma import registry
from trilemma.card import Card
from trilemma.data.mnist import MnistData, open_fashion_mnist
from trilemma.data.scenes_data import ScenesData
from trilemma.training import gates

COUNT = 40


def grey(label: int) -> int:
    """Of a picture of a class, as the small data set has it: noise of 0 to 25 on twenty grey levels a class."""
    return 12 + 20 * label


def read_grey(pixels: Tensor) -> NDArray[np.int64]:
    inside = (pixels[:, 0, 2:30, 2:30].mean((1, 2)) + 1) * 127.5
    return ((inside - grey(0)) / 20).round().long().numpy()


class Painter:
    """Paints the class that it is asked for, and every fourth time the next one."""

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = classes

    def generate(self, prompts: Sequence[str], seeds: Sequence[int], **knobs: float) -> Tensor:
        labels = [(self.classes.index(p) + (s % 4 == 0)) % 10 for p, s in zip(prompts, seeds, strict=True)]
        return torch.stack([torch.full((3, 32, 32), grey(label), dtype=torch.uint8) for label in labels])


@pytest.fixture
def source(small_fashion_mnist: Path, monkeypatch: pytest.MonkeyPatch) -> MnistData:
    monkeypatch.setitem(gates.READERS, "fashion-mnist", lambda device: read_grey)
    return open_fashion_mnist()


def test_the_share_of_prompts_that_are_obeyed(
    source: MnistData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "load", lambda card, device: Painter(source.classes))
    monkeypatch.setattr(gates, "BATCH", 16)
    card = Card(name="painter", family="gan", data="fashion-mnist", path=tmp_path)
    assert gates.prompt_accuracy(card, source, "cpu", COUNT) == 0.75
    marks = {"25%": tmp_path, "50%": tmp_path / "none"}
    assert gates.curve(card, source, marks, "cpu", COUNT) == {"25%": 0.75}


def test_what_survives_encoding_and_decoding(source: MnistData) -> None:
    assert gates.real_accuracy(source, "cpu", COUNT) == 1.0
    labels = source.labels(source.gate_split, range(COUNT))
    black = gates.reconstruction_accuracy(lambda x: x * 0 + grey(3) / 127.5 - 1, source, "cpu", COUNT)
    assert black == pytest.approx((labels == 3).mean())


def test_scenes_are_read_by_the_factor_reader() -> None:
    assert gates.real_accuracy(ScenesData(), "cpu", 64) >= 63 / 64
    blurred = gates.reconstruction_accuracy(
        lambda x: torch.nn.functional.avg_pool2d(x, 16).repeat_interleave(16, 2).repeat_interleave(16, 3),
        ScenesData(), "cpu", 64,
    )  # fmt: skip
    assert blurred < 0.5
