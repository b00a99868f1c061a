"""Counting operations: known networks, what cannot be counted, and what counting must leave alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from trilemma import registry
from trilemma.data import scenes
from trilemma.timing.flops import NOTHING, count_flops
from trilemma.workspace import find_workspace

CARDS = registry.cards(find_workspace(start=Path(__file__).parent))


def test_products_and_convolutions_count_two_for_each_multiply_add() -> None:
    linear, convolution = torch.nn.Linear(5, 7), torch.nn.Conv2d(3, 4, 3, padding=1)
    counted = count_flops(lambda: (linear(torch.ones(2, 5)), convolution(torch.ones(2, 3, 8, 8))), 2)
    assert counted.per_image == 2 * 5 * 7 + 2 * 3 * 4 * 9 * 8 * 8
    assert counted.operations == {"aten.addmm": 2 * 2 * 5 * 7, "aten.convolution": 2 * 2 * 3 * 4 * 9 * 8 * 8}
    assert counted.reason is None and counted.batch_size == 2


@torch.no_grad()
def test_attention_is_counted_by_its_formula_whatever_kernel_would_run() -> None:
    query = torch.ones(1, 2, 6, 4)
    counted = count_flops(lambda: F.scaled_dot_product_attention(query, query, query), 1)
    assert counted.per_image == 2 * (2 * 2 * 6 * 6 * 4)


def test_what_torch_does_not_multiply_is_no_zero() -> None:
    counted = count_flops(lambda: torch.ones(3).sum(), 1)
    assert (counted.per_image, counted.reason, counted.operations) == (None, NOTHING, {})


def test_a_failure_is_a_reason() -> None:
    def fail() -> None:
        raise RuntimeError("no more memory")

    counted = count_flops(fail, 1)
    assert counted.per_image is None and counted.reason == "counting failed: RuntimeError: no more memory"


@pytest.mark.parametrize("name", ["gan", "vqar", "var", "ldm"])
def test_counting_an_embedded_model_changes_nothing(name: str) -> None:
    if not CARDS[name].weights_sha256:
        pytest.skip(f'"{name}" is not trained yet: its card has no [weights]')
    generator = registry.load(CARDS[name], "cpu")
    captions = scenes.captions("prompts", range(4))
    before = generator.generate(captions, range(4))
    state, flags = torch.get_rng_state(), torch.backends.cuda.math_sdp_enabled()
    counts = [count_flops(lambda n=n: generator.generate(captions[:n], range(n)), n) for n in (1, 4)]  # type: ignore[misc]
    assert counts[0].per_image is not None and counts[0].per_image == counts[1].per_image
    assert counts[0].per_image > 2 * generator.info.parameters  # a convolution uses a weight at every pixel
    assert torch.equal(torch.get_rng_state(), state) and torch.backends.cuda.math_sdp_enabled() == flags
    assert torch.backends.cuda.flash_sdp_enabled()
    assert not torch.nn.modules.module._global_forward_hooks and not torch.nn.modules.module._global_forward_pre_hooks
    assert torch.equal(generator.generate(captions, range(4)), before)
