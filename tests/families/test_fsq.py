"""Finite scalar quantisation: the grid, the indices, the gradient."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trilemma.families.fsq import FiniteScalarQuantizer

LEVELS = ((8, 8, 8), (8, 5, 5, 5), (3, 2), (7,))


@pytest.mark.parametrize("levels", LEVELS)
def test_every_index_survives_the_round_trip(levels: tuple[int, ...]) -> None:
    quantizer = FiniteScalarQuantizer(levels)
    assert quantizer.codes == math.prod(levels)
    indices = torch.arange(quantizer.codes).view(1, 1, -1)
    codes = quantizer.lookup(indices)
    assert torch.equal(quantizer.indices(codes), indices)
    assert len(torch.unique(codes[0, :, 0].T, dim=0)) == quantizer.codes


@pytest.mark.parametrize("levels", LEVELS)
def test_codes_are_the_whole_grid_and_nothing_else(levels: tuple[int, ...]) -> None:
    quantizer = FiniteScalarQuantizer(levels)
    sweep = torch.linspace(-8, 8, 4001).view(1, 1, 1, -1).expand(1, len(levels), 1, -1)
    codes = quantizer(sweep)
    for channel, level in enumerate(levels):
        found = torch.unique(codes[0, channel].round(decimals=5))
        torch.testing.assert_close(found, torch.linspace(-1, 1, level), atol=1e-5, rtol=0)


def test_first_channel_counts_fastest() -> None:
    quantizer = FiniteScalarQuantizer((3, 4))
    codes = quantizer.lookup(torch.tensor([[[0, 1, 3]]]))
    torch.testing.assert_close(codes[0, :, 0, 0], torch.tensor([-1.0, -1.0]))
    torch.testing.assert_close(codes[0, :, 0, 1], torch.tensor([0.0, -1.0]))
    torch.testing.assert_close(codes[0, :, 0, 2], torch.tensor([-1.0, -1 / 3]))


def test_gradient_passes_straight_through_the_rounding() -> None:
    quantizer = FiniteScalarQuantizer((8,))
    z = torch.tensor([-2.0, -0.3, 0.0, 0.4, 1.5]).view(1, 1, 1, -1).requires_grad_(True)
    quantizer(z).sum().backward()
    half, offset = 7 * 1.001 / 2, 0.5
    shift = math.atanh(offset / half)
    # The derivative of the bounding function alone, in codes, of which seven levels span two.
    expected = (1 - torch.tanh(z.detach() + shift) ** 2) * half / 7 * 2
    assert z.grad is not None
    torch.testing.assert_close(z.grad, expected)


@given(st.lists(st.floats(-20, 20), min_size=6, max_size=6))
def test_quantising_a_code_index_is_stable(values: list[float]) -> None:
    quantizer = FiniteScalarQuantizer((8, 5, 3))
    codes = quantizer(torch.tensor(values).view(1, 3, 1, 2))
    indices = quantizer.indices(codes)
    assert 0 <= int(indices.min())
    assert int(indices.max()) < quantizer.codes
    torch.testing.assert_close(quantizer.lookup(indices), codes, atol=1e-5, rtol=0)
