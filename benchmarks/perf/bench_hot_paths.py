"""Times of the suite's own hot paths: ``.venv/bin/python -m pytest benchmarks/perf``.

Nothing is asserted about seconds: compare two runs with ``--benchmark-autosave`` and ``--benchmark-compare``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from trilemma import registry
from trilemma.data import scenes
from trilemma.families.vqar import CachedPrior, Prior
from trilemma.metrics.frechet import frechet_distance, moments
from trilemma.metrics.kernel import kernel_distance
from trilemma.metrics.prdc import prdc
from trilemma.workspace import find_workspace

CARDS = registry.cards(find_workspace(start=Path(__file__).parent))
MODELS = sorted(name for name, card in CARDS.items() if not card.control)
Benchmark = Callable[..., Any]


@pytest.mark.parametrize("batch_size", (1, 16))
@pytest.mark.parametrize("name", MODELS)
def test_sampling(benchmark: Benchmark, name: str, batch_size: int) -> None:
    if not CARDS[name].weights_sha256:
        pytest.skip(f'"{name}" is not trained yet: its card has no [weights]')
    generator = registry.load(CARDS[name], "cpu")
    images = benchmark(generator.generate, scenes.captions("prompts", range(batch_size)), range(batch_size))
    assert len(images) == batch_size


@pytest.mark.benchmark(group="tokens of vqar")
@pytest.mark.parametrize("way", ("cached", "uncached"))
@pytest.mark.parametrize("batch_size", (16, 64))
def test_tokens_of_vqar(benchmark: Benchmark, batch_size: int, way: str) -> None:
    """The sampler with its key/value cache beside the plain loop over the same weights: the same greedy tokens."""
    vqar = registry.load(CARDS["vqar"], "cpu")
    text_BD = vqar.text(scenes.captions("prompts", range(batch_size))).pooled_BD
    tokens_BT = benchmark({"cached": _cached, "uncached": _uncached}[way], vqar.prior, text_BD)
    assert (tokens_BT == _cached(vqar.prior, text_BD)).float().mean() > 0.99


@torch.no_grad()
def _cached(prior: Prior, text_BD: Tensor) -> Tensor:
    cached = CachedPrior(prior, len(text_BD))
    tokens = [cached.start(text_BD).argmax(-1)]
    while len(tokens) < prior.tokens:
        tokens.append(cached.step(tokens[-1]).argmax(-1))
    return torch.stack(tokens, 1)


@torch.no_grad()
def _uncached(prior: Prior, text_BD: Tensor) -> Tensor:
    tokens_BT = torch.zeros(len(text_BD), 0, dtype=torch.long)
    while tokens_BT.shape[1] < prior.tokens:
        tokens_BT = torch.cat([tokens_BT, prior(text_BD, tokens_BT)[:, -1:].argmax(-1)], 1)
    return tokens_BT


@pytest.mark.parametrize("resolution", (32, 64))
def test_rendering(benchmark: Benchmark, resolution: int) -> None:
    assert benchmark(scenes.images, "reference", range(1000), resolution).shape == (1000, resolution, resolution, 3)


@pytest.fixture(scope="module")
def features() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Generated and real features of the size that the protocol "scenes" compares."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(128, 128)).astype(np.float32)
    generated, real = (rng.normal(size=(count, 128)).astype(np.float32) @ mixing for count in (2048, 10_000))
    return generated, real


def test_frechet_distance(benchmark: Benchmark, features: tuple[NDArray[np.float32], NDArray[np.float32]]) -> None:
    generated, real = features
    reference = moments(real)
    assert benchmark(frechet_distance, generated, reference).value > 0


def test_reference_moments(benchmark: Benchmark, features: tuple[NDArray[np.float32], NDArray[np.float32]]) -> None:
    assert benchmark(moments, features[1]).count == 10_000


def test_kernel_distance(benchmark: Benchmark, features: tuple[NDArray[np.float32], NDArray[np.float32]]) -> None:
    assert benchmark.pedantic(kernel_distance, features, rounds=3).n == 2048  # type: ignore[attr-defined]


def test_neighbours(benchmark: Benchmark, features: tuple[NDArray[np.float32], NDArray[np.float32]]) -> None:
    generated, real = features
    result = benchmark.pedantic(prdc, (generated, real[:2048]), rounds=3)  # type: ignore[attr-defined]
    assert result
