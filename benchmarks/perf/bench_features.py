"""Drawing real images and measuring any, in batches of 64.

An extractor takes part where its weights are at hand; what comes before its network needs none.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from trilemma import protocols
from trilemma.data import scenes
from trilemma.features.extractor import load_extractor
from trilemma.features.factor_net import read_factors
from trilemma.features.measure import Instruments, load_instruments, residual
from trilemma.features.preprocessing import prepare
from trilemma.features.presets import PRESETS, Preset
from trilemma.features.thumbnails import thumbnails
from trilemma.features.weights import find
from trilemma.workspace import find_workspace

if TYPE_CHECKING:
    from conftest import Sizes

RESIZING = [name for name, preset in PRESETS.items() if preset.recipe.resize is not None]
Benchmark = Callable[..., Any]


def pictures(sizes: Sizes, preset: Preset | None = None) -> NDArray[np.uint8]:
    """A batch of real images: of Scenes' own size where nothing would resize it."""
    own = preset is not None and preset.recipe.resize is None
    return scenes.images("reference", range(sizes.batch), 32 if own else sizes.resolution)


@pytest.mark.benchmark(group="drawing real images")
@pytest.mark.parametrize("resolution", (32, 64))
def test_rendering(benchmark: Benchmark, sizes: Sizes, resolution: int) -> None:
    drawn = benchmark(scenes.images, "reference", range(sizes.batch), resolution)
    assert drawn.shape == (sizes.batch, resolution, resolution, 3)


@pytest.fixture(scope="module")
def instruments() -> Instruments:
    return load_instruments(protocols.find_protocol("scenes", find_workspace(start=Path(__file__).parent)), "cpu")


def tensors(sizes: Sizes) -> torch.Tensor:
    return torch.from_numpy(scenes.images("reference", range(sizes.batch))).permute(0, 3, 1, 2)


@pytest.mark.benchmark(group="instruments of Scenes")
@pytest.mark.parametrize("role", ("extractor", "reader", "clip"))
@torch.no_grad()
def test_instrument(benchmark: Benchmark, instruments: Instruments, sizes: Sizes, role: str) -> None:
    pixels = tensors(sizes).float() / 127.5 - 1
    calls = {
        "extractor": lambda: instruments.extractor.features(pixels),
        "reader": lambda: read_factors(instruments.reader(pixels)).shape,
        "clip": lambda: instruments.clip.vision_model(pixel_values=pixels).pooler_output,
    }
    assert len(benchmark(calls[role])) == sizes.batch


@pytest.mark.benchmark(group="instruments of Scenes")
def test_all_instruments(benchmark: Benchmark, instruments: Instruments, sizes: Sizes) -> None:
    images = tensors(sizes)
    measured = benchmark(instruments.measure, images, scenes.captions("reference", range(sizes.batch)))
    assert {len(array) for array in measured.values()} == {sizes.batch}


@pytest.mark.benchmark(group="measurements of Scenes without a network")
def test_residual(benchmark: Benchmark, sizes: Sizes) -> None:
    known = scenes.factors("reference", range(sizes.batch))
    assert benchmark(residual, tensors(sizes), known).max() < 1.0


@pytest.mark.benchmark(group="measurements of Scenes without a network")
def test_thumbnails(benchmark: Benchmark, sizes: Sizes) -> None:
    assert benchmark(thumbnails, pictures(sizes)).shape == (sizes.batch, 768)


@pytest.mark.benchmark(group="extractors")
@pytest.mark.parametrize("name", PRESETS)
def test_extractor(benchmark: Benchmark, sizes: Sizes, name: str) -> None:
    preset = PRESETS[name]
    if not all(map(find, preset.recipe.files)):
        pytest.skip(f'the weights of "{name}" are not at hand')
    extractor = load_extractor(preset.recipe)
    images = pictures(sizes, preset)
    assert benchmark(extractor.batch, images)["features"].shape == (sizes.batch, extractor.width)


@pytest.mark.benchmark(group="before the network")
@pytest.mark.parametrize("name", RESIZING)
def test_preprocessing(benchmark: Benchmark, sizes: Sizes, name: str) -> None:
    recipe = PRESETS[name].recipe
    assert recipe.resize is not None
    prepared = benchmark(prepare, pictures(sizes), recipe, torch.device("cpu"))
    assert prepared.shape == (sizes.batch, 3, recipe.resize.size, recipe.resize.size)
