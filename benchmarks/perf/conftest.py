"""Sizes for all benchmarks of the suite's own hot paths: full ones, or with ``--small`` tiny ones."""

from __future__ import annotations

from dataclasses import dataclass

import pytest


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much of everything there is. Full sizes are those of the protocol "scenes"."""

    images: int = 2048
    real: int = 10_000
    training: int = 100_000
    per_prompt: int = 32
    width: int = 128
    wide: int = 2048  # of Inception's features
    batch: int = 64
    batches: int = 96
    resolution: int = 256  # of what is resized
    files: int = 50_000  # in a folder
    files_in_turn: int = 5000  # of what is timed in turn with something else
    few_files: int = 512  # for a network of published size


SMALL = Sizes(
    images=96,
    real=160,
    training=300,
    per_prompt=24,
    width=8,
    wide=64,
    batch=2,
    batches=3,
    resolution=32,
    files=150,
    files_in_turn=40,
    few_files=4,
)


def pytest_addoption(parser: pytest.Parser) -> None:
    text = "tiny inputs: tells whether the benchmarks of trilemma's own hot paths work, not how long anything takes"
    parser.addoption("--small", action="store_true", help=text)


@pytest.fixture(scope="session")
def sizes(pytestconfig: pytest.Config) -> Sizes:
    return SMALL if pytestconfig.getoption("--small") else Sizes()
