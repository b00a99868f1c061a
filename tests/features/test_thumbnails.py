"""Thumbnails: averages over the cells of a grid, for images of any size, and the extractor that makes them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from trilemma.features.extractor import load_extractor
from trilemma.features.thumbnails import SIDE, area_average, thumbnails
from trilemma.scoring.copies import PIXELS

RECIPE = PIXELS.recipe


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def magnified(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The averages by another way: every pixel SIDE times as large, so that each cell holds whole pixels."""
    height, width = image.shape[:2]
    large = image.repeat(SIDE, 0).repeat(SIDE, 1).astype(np.float64)
    averages: NDArray[np.float64] = large.reshape(SIDE, height, SIDE, width, 3).mean((1, 3))
    return averages


@pytest.mark.parametrize("side", (16, 32, 48, 64, 256))
def test_where_cells_hold_whole_pixels_it_is_average_pooling(side: int) -> None:
    images = np.stack([noise(side, side, seed) for seed in range(4)])
    pooled = F.adaptive_avg_pool2d(torch.from_numpy(images).permute(0, 3, 1, 2).float(), SIDE)
    assert np.array_equal(thumbnails(images), pooled.round().to(torch.uint8).flatten(1).numpy())


@pytest.mark.parametrize("shape", ((17, 31), (5, 90), (100, 20), (1, 1), (33, 32)))
def test_pixels_between_two_cells_count_in_both(shape: tuple[int, int]) -> None:
    image = noise(*shape)
    averages = area_average(image, SIDE)
    assert averages.dtype == np.uint8 and averages.shape == (SIDE, SIDE, 3)
    assert np.abs(averages - magnified(image)).max() <= 0.5 + 1e-9


def test_one_colour_stays_what_it_is() -> None:
    assert (area_average(np.full((1023, 701, 3), (3, 128, 255), np.uint8), SIDE) == (3, 128, 255)).all()


def test_the_extractor_gives_thumbnails_of_images_of_any_size() -> None:
    images = [noise(32, 32), noise(32, 32, 1), noise(50, 70)]
    extractor = load_extractor(RECIPE)
    (found,) = extractor.batch(images).values()
    assert found.dtype == np.uint8 and extractor.width == found.shape[1] == 768
    assert np.array_equal(found, thumbnails(images))


def test_whole_numbers_have_no_other_precision() -> None:
    identity = load_extractor(RECIPE).identity
    assert load_extractor(RECIPE, dtype="float64").identity == identity
    assert identity["resize"]["kernel"] == "area" and identity["resize"]["size"] == SIDE
    coarser = replace(RECIPE, resize=replace(RECIPE.resize, size=8))  # type: ignore[type-var]
    assert load_extractor(coarser).identity != identity
