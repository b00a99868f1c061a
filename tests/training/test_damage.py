"""Damage: each kind does what it is called, to the share that was asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from trilemma.data.scenes_data import ScenesData
from trilemma.training import damage as kinds
from trilemma.training.damage import KINDS, damage
from trilemma.training.split import TrainingSplit


@pytest.fixture
def images() -> Tensor:
    torch.manual_seed(0)
    return TrainingSplit(ScenesData()).pictures(np.arange(64), torch.device("cpu"))


def half(images: Tensor) -> Tensor:
    return torch.full((len(images), 1, 1, 1), 0.5)


def test_clean_pictures_stay_as_they_are(images: Tensor) -> None:
    output, kind = damage(images, 0.5)
    assert torch.equal(output[kind == 0], images[kind == 0])
    changed = (output != images).flatten(1).any(1)
    patched = kind == KINDS.index(kinds._patches)  # by chance no patch at all may be swapped
    assert torch.equal(changed[~patched], kind[~patched] > 0)
    assert output.abs().max() <= 1


def test_none_and_all(images: Tensor) -> None:
    assert (damage(images, 0.0)[1] == 0).all()
    assert (damage(images, 1.0)[1] > 0).all()


def test_every_kind_occurs_in_the_share_asked_for() -> None:
    kind = torch.cat([damage(torch.zeros(256, 3, 8, 8), 0.6)[1] for _ in range(20)])
    counts = torch.bincount(kind, minlength=len(KINDS)).double() / len(kind)
    assert counts[0] == pytest.approx(0.4, abs=0.05)
    assert counts[1:].tolist() == pytest.approx([0.12] * 5, abs=0.03)


def test_the_input_is_not_touched(images: Tensor) -> None:
    before = images.clone()
    damage(images, 1.0)
    assert torch.equal(images, before)


@pytest.mark.parametrize("function", KINDS[1:])
def test_stronger_is_further_away(images: Tensor, function: object) -> None:
    def distance(strength: float) -> float:
        torch.manual_seed(1)
        changed = function(images, torch.full((64, 1, 1, 1), strength))  # type: ignore[operator]
        return float((changed - images).square().mean())

    assert 0 < distance(0.1) < distance(1.0)


def test_blur_and_coarse_lose_detail_and_keep_the_mean(images: Tensor) -> None:
    for function in (kinds._blur, kinds._coarse):
        soft = function(images, half(images))
        # Squared: a step that is spread over some pixels has lost nothing of its height, but most of its sharpness.
        assert soft.diff(dim=3).square().mean() < 0.4 * images.diff(dim=3).square().mean()
        assert (soft.mean((2, 3)) - images.mean((2, 3))).abs().max() < 0.05


def test_tint_moves_all_pixels_alike(images: Tensor) -> None:
    moved = (kinds._tint(images, half(images)) - images).flatten(2)
    assert moved.std(2).max() < 1e-5
    assert moved.std() > 0.05


def test_patches_come_from_another_picture(images: Tensor) -> None:
    output = kinds._patches(images, torch.ones(64, 1, 1, 1))
    own, other = output == images, output == images.roll(1, dims=0)
    close = torch.isclose(output, images.roll(1, dims=0), atol=1e-6)
    assert (own | other | close).all()
    swapped = (output != images).any(1).reshape(64, 4, 8, 4, 8)
    assert 0.3 < swapped.any((2, 4)).float().mean() < 0.6
