"""Counting operations: known networks, what cannot be counted, and what counting must leave alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from trilemma import registry
from trilemma.data import scenes
from trilemma.timing.flops import NOTHING, attention_kernels, count_flops, multiplies
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


class Block(torch.nn.Module):
    """A block of DiT with adaptive norms (Peebles and Xie, arXiv 2212.09748, figure 3)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.modulation = torch.nn.Linear(width, 6 * width)
        self.qkv, self.projection = torch.nn.Linear(width, 3 * width), torch.nn.Linear(width, width)
        self.mlp = torch.nn.Sequential(
            torch.nn.Linear(width, 4 * width), torch.nn.GELU(), torch.nn.Linear(4 * width, width)
        )
        self.norm = torch.nn.LayerNorm(width, elementwise_affine=False)

    def forward(self, x_BND: torch.Tensor, condition_BD: torch.Tensor) -> torch.Tensor:
        count, tokens, width = x_BND.shape
        shift, scale, gate, shift2, scale2, gate2 = self.modulation(F.silu(condition_BD))[:, None].chunk(6, dim=-1)
        qkv = self.qkv(self.norm(x_BND) * (1 + scale) + shift).view(count, tokens, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        mixed_BND = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(count, tokens, width)
        x_BND = x_BND + gate * self.projection(mixed_BND)
        return x_BND + gate2 * self.mlp(self.norm(x_BND) * (1 + scale2) + shift2)


@pytest.mark.parametrize("inference", [True, False])
@pytest.mark.parametrize(("width", "heads", "tokens"), [(48, 4, 16), (64, 8, 10)])
def test_a_block_of_dit_takes_what_the_formula_says(width: int, heads: int, tokens: int, inference: bool) -> None:
    block = Block(width, heads).eval()
    x, condition = torch.ones(2, tokens, width), torch.ones(2, width)
    with torch.inference_mode(inference):
        counted = count_flops(lambda: block(x, condition), 2)
    products = 2 * tokens * (3 + 1 + 4 + 4) * width**2  # qkv, projection, the two of the MLP
    attention = 2 * (2 * tokens**2 * width)  # queries with keys, weights with values
    modulation = 2 * 6 * width**2  # once for each image
    assert counted.per_image == products + attention + modulation
    assert counted.uncounted == ()


def test_what_multiplies_and_has_no_formula_is_named() -> None:
    encoder = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    with torch.inference_mode():  # its fast path is one operation
        fused = count_flops(lambda: encoder(torch.ones(2, 3, 8)), 2)
    assert fused.per_image is None and fused.uncounted == ("aten._transformer_encoder_layer_fwd",)
    vector = count_flops(lambda: (torch.ones(3, 4) @ torch.ones(4), torch.ones(3, 4) @ torch.ones(4, 2)), 1)
    assert vector.per_image == 2 * 3 * 4 * 2 and vector.uncounted == ("aten.mv",)


@pytest.mark.parametrize(
    ("name", "does"),
    [
        ("aten.addmm", True), ("aten._int_mm", True), ("aten._weight_int4pack_mm", True), ("aten.conv2d", True),
        ("aten.mkldnn_linear", True), ("aten.native_multi_head_attention", True), ("aten._cudnn_rnn", True),
        ("mine.flash_attention", True), ("aten.upsample_bilinear2d", False), ("aten._thnn_fused_lstm_cell", False),
        ("prims.convert_element_type", False), ("aten.mul", False), ("aten.native_layer_norm", False),
    ],
)  # fmt: skip
def test_operations_that_multiply_matrices_are_known_by_name(name: str, does: bool) -> None:
    assert multiplies(name) is does


def test_the_attention_that_ran_is_seen_whatever_the_mode() -> None:
    query = torch.ones(1, 2, 6, 4)
    for inference in (True, False):
        with torch.inference_mode(inference):
            (kernel,) = attention_kernels(lambda: F.scaled_dot_product_attention(query, query, query)) or []
        assert "attention" in kernel and kernel != "scaled_dot_product_attention"
    assert attention_kernels(lambda: query + 1) == [] and attention_kernels(lambda: 1 / 0) is None


@pytest.mark.parametrize("name", ["gan", "vqar", "var", "ldm"])
def test_counting_an_embedded_model_changes_nothing(name: str) -> None:
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
