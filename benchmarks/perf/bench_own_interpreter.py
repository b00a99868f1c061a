"""What a Python of its own costs a model: the way of its images to this process, beside what its own calls take.

A factory that hands out the same zeros each time takes no time itself, so that what is left is the way.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from trilemma import registry
from trilemma.card import load_card
from trilemma.generator import Generator

FACTORY = """
class Model:
    def __init__(self, side):
        self.side = side

    def generate(self, prompts, seeds):
        count = len(prompts)
        return memoryview(bytes(count * 3 * self.side**2)).cast("B", (count, 3, self.side, self.side))

def build(card, device):
    return Model(card.resolution)
"""


def model(folder: Path, side: int) -> Generator:
    (folder / "adapter.py").write_text(FACTORY)
    lines = ['name = "elsewhere"', 'factory = "adapter:build"', f"python = {json.dumps(sys.executable)}"]
    (folder / "card.toml").write_text("\n".join([*lines, f"resolution = {side}"]))
    return registry.load(load_card(folder), "cpu")


@pytest.mark.benchmark(group="a Python of its own")
@pytest.mark.parametrize(("side", "batch_size"), [(32, 1), (32, 64), (256, 1), (256, 64), (1024, 1)])
def test_way_there_and_back(
    benchmark: Any, pytestconfig: pytest.Config, tmp_path: Path, side: int, batch_size: int
) -> None:
    generator = model(tmp_path, 8 if pytestconfig.getoption("--small") else side)
    prompts, seeds = ["a red star on green stripes"] * batch_size, list(range(batch_size))
    images = benchmark(generator.generate, prompts, seeds)
    assert len(images) == batch_size
