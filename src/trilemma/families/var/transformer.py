"""The next-scale transformer of VAR (arXiv 2404.02905, §3.2), with the official tensor names and layout.

In class mode (``classes`` > 0) a state dict of the official repository loads as it is; in text mode the class embedding
is replaced by a projection of the caption's embedding, ``text_emb``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, kw_only=True)
class VarTransformerNetwork:
    """Architecture numbers: ``codes`` of width ``code_width``, ``scales`` sides, ``classes`` 0 for text."""

    codes: int
    code_width: int
    scales: tuple[int, ...]
    width: int
    depth: int
    heads: int
    classes: int = 0
    text_width: int = 0
    shared_ada: bool = False

    @property
    def tokens(self) -> int:
        """Tokens of all scales together."""
        return sum(side**2 for side in self.scales)


class Attention(nn.Module):
    """Self-attention on l2-normalised queries and keys with a learned scale per head."""

    zero_k_bias: Tensor

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale_mul_1H11 = nn.Parameter(torch.full((1, heads, 1, 1), 4.0).log())
        self.mat_qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(width))
        self.v_bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("zero_k_bias", torch.zeros(width))
        self.proj = nn.Linear(width, width)

    def forward(self, x_BLC: Tensor, mask: Tensor | None, past: Cache | None) -> Tensor:
        """Returns ``(B, L, C)``; ``mask`` is added to the scores, and ``past`` takes in this call's keys and values."""
        bias = torch.cat([self.q_bias, self.zero_k_bias, self.v_bias])
        qkv = F.linear(x_BLC, self.mat_qkv.weight, bias).unflatten(2, (3, self.heads, -1))
        q_BHLc, k_BHLc, v_BHLc = qkv.permute(2, 0, 3, 1, 4)
        scale = self.scale_mul_1H11.clamp(max=math.log(100)).exp()
        q_BHLc, k_BHLc = F.normalize(q_BHLc, dim=-1) * scale, F.normalize(k_BHLc, dim=-1)
        if past is not None:
            k_BHLc, v_BHLc = past.append(k_BHLc, v_BHLc)
        # Written out: at these sizes the fused kernel for CPUs is several times slower than two products.
        scores = q_BHLc @ k_BHLc.transpose(-1, -2)
        y = (scores if mask is None else scores + mask).softmax(-1).to(v_BHLc.dtype) @ v_BHLc
        projected: Tensor = self.proj(y.transpose(1, 2).flatten(2))
        return projected


class Cache:
    """Keys and values of one layer, allocated once for all scales: ``(2, B, heads, L, width / heads)``."""

    def __init__(self, shape: tuple[int, ...], like: Tensor) -> None:
        self.store_2BHLc = torch.empty((2, *shape), dtype=like.dtype, device=like.device)
        self.length = 0

    def append(self, k_BHLc: Tensor, v_BHLc: Tensor) -> tuple[Tensor, Tensor]:
        """Adds one scale and returns all keys and values so far."""
        end = self.length + k_BHLc.shape[2]
        self.store_2BHLc[0, :, :, self.length : end] = k_BHLc
        self.store_2BHLc[1, :, :, self.length : end] = v_BHLc
        self.length = end
        return self.store_2BHLc[0, :, :, :end], self.store_2BHLc[1, :, :, :end]


class FeedForward(nn.Module):
    """Two layers with tanh-approximated GELU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x_BLC: Tensor) -> Tensor:
        """Returns ``(B, L, C)``."""
        y: Tensor = self.fc2(F.gelu(self.fc1(x_BLC), approximate="tanh"))
        return y


class Block(nn.Module):
    """Attention and feed-forward, each modulated by the condition (adaptive layer norm)."""

    def __init__(self, width: int, heads: int, *, shared_ada: bool) -> None:
        super().__init__()
        self.width = width
        self.attn = Attention(width, heads)
        self.ffn = FeedForward(width)
        if shared_ada:
            self.ada_gss = nn.Parameter(torch.randn(1, 1, 6, width) / width**0.5)
        else:
            self.ada_lin = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))
        self.shared_ada = shared_ada

    @torch.no_grad()
    def shrink_modulation(self, *, gain: float, others: float) -> None:
        """Multiplies the initial gains, scales and shifts, so that the block starts near the identity."""
        if self.shared_ada:
            self.ada_gss[:, :, :2] *= gain
            self.ada_gss[:, :, 2:] *= others
            return
        modulation = self.ada_lin[1]
        assert isinstance(modulation, nn.Linear)
        modulation.weight[: 2 * self.width] *= gain
        modulation.weight[2 * self.width :] *= others

    def forward(self, x_BLC: Tensor, condition: Tensor, mask: Tensor | None, past: Cache | None) -> Tensor:
        """Returns ``(B, L, C)``; ``condition`` is ``(B, C)``, or ``(B, 1, 6, C)`` where the modulation is shared."""
        if self.shared_ada:
            modulation = self.ada_gss + condition
        else:
            modulation = self.ada_lin(condition).view(-1, 1, 6, self.width)
        gain1, gain2, scale1, scale2, shift1, shift2 = modulation.unbind(2)
        h = F.layer_norm(x_BLC, (self.width,), eps=1e-6) * (scale1 + 1) + shift1
        x_BLC = x_BLC + self.attn(h, mask, past) * gain1
        h = F.layer_norm(x_BLC, (self.width,), eps=1e-6) * (scale2 + 1) + shift2
        x_BLC = x_BLC + self.ffn(h) * gain2
        return x_BLC


class HeadNorm(nn.Module):
    """The modulated layer norm before the head."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.ada_lin = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))

    def forward(self, x_BLC: Tensor, condition_BC: Tensor) -> Tensor:
        """Returns ``(B, L, C)``."""
        modulation: Tensor = self.ada_lin(condition_BC)
        scale, shift = modulation.view(-1, 1, 2, self.width).unbind(2)
        return F.layer_norm(x_BLC, (self.width,), eps=1e-6) * (scale + 1) + shift


class VarTransformer(nn.Module):
    """Predicts all tokens of a scale at once from the coarser scales and the condition."""

    lvl_1L: Tensor
    attn_bias_for_masking: Tensor

    def __init__(self, network: VarTransformerNetwork) -> None:
        super().__init__()
        self.network = network
        width, first = network.width, network.scales[0] ** 2
        self.word_embed = nn.Linear(network.code_width, width)
        if network.classes:
            self.class_emb = nn.Embedding(network.classes + 1, width)
        else:
            self.text_emb = nn.Linear(network.text_width, width)
        self.pos_start = nn.Parameter(torch.randn(1, first, width) * math.sqrt(1 / width / 3))
        self.pos_1LC = nn.Parameter(torch.randn(1, network.tokens, width) * math.sqrt(1 / width / 3))
        self.lvl_embed = nn.Embedding(len(network.scales), width)
        nn.init.trunc_normal_(self.lvl_embed.weight, std=math.sqrt(1 / width / 3))
        if network.shared_ada:
            self.shared_ada_lin = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))
        self.blocks = nn.ModuleList(
            Block(width, network.heads, shared_ada=network.shared_ada) for _ in range(network.depth)
        )
        self.head_nm = HeadNorm(width)
        self.head = nn.Linear(width, network.codes)
        level_L = torch.cat([torch.full((side**2,), i) for i, side in enumerate(network.scales)])
        self.register_buffer("lvl_1L", level_L[None])
        mask = torch.where(level_L[:, None] >= level_L[None, :], 0.0, -torch.inf)
        self.register_buffer("attn_bias_for_masking", mask[None, None])
        self._initialise()

    def condition(self, given: Tensor) -> Tensor:
        """Returns ``(B, width)`` of class numbers ``(B,)`` or text embeddings ``(B, text_width)``."""
        embedded: Tensor = self.class_emb(given) if self.network.classes else self.text_emb(given)
        return embedded

    def forward(self, condition_BC: Tensor, inputs_BLV: Tensor) -> Tensor:
        """Teacher forcing: logits ``(B, L, codes)`` of all scales from the inputs of scales 2, 3, ..."""
        start = condition_BC[:, None] + self.pos_start
        x_BLC = torch.cat([start, self.word_embed(inputs_BLV)], 1) + self._positions()
        mask = self.attn_bias_for_masking.to(x_BLC.dtype)
        return self._run(x_BLC, condition_BC, mask, [None] * len(self.blocks))

    def start(self, batch: int) -> list[Cache]:
        """Returns empty caches for sampling ``batch`` sequences."""
        network = self.network
        shape = (batch, network.heads, network.tokens, network.width // network.heads)
        return [Cache(shape, self.pos_1LC) for _ in self.blocks]

    def step(self, condition_BC: Tensor, inputs_BsV: Tensor | None, caches: Sequence[Cache]) -> Tensor:
        """Sampling: logits ``(B, s * s, codes)`` of the next scale; ``inputs_BsV`` is None for the first."""
        begin = caches[0].length
        if inputs_BsV is None:
            x_BLC = condition_BC[:, None] + self.pos_start
        else:
            x_BLC = self.word_embed(inputs_BsV)
        x_BLC = x_BLC + self._positions()[:, begin : begin + x_BLC.shape[1]]
        return self._run(x_BLC, condition_BC, None, caches)

    def _positions(self) -> Tensor:
        levels_1LC: Tensor = self.lvl_embed(self.lvl_1L)
        return levels_1LC + self.pos_1LC

    def _run(self, x_BLC: Tensor, condition_BC: Tensor, mask: Tensor | None, caches: Sequence[Cache | None]) -> Tensor:
        modulation = condition_BC
        if self.network.shared_ada:
            modulation = self.shared_ada_lin(condition_BC).view(-1, 1, 6, self.network.width)
        for block, cache in zip(self.blocks, caches, strict=True):
            x_BLC = block(x_BLC, modulation, mask, cache)
        logits: Tensor = self.head(self.head_nm(x_BLC, condition_BC))
        return logits

    def _initialise(self) -> None:
        """Small heads, scales and gains, as the official repository has them (its ``init_weights``)."""
        width = self.network.width
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=math.sqrt(1 / width / 3))
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        self.head.weight.data.mul_(0.02)
        modulation = self.head_nm.ada_lin[1]
        assert isinstance(modulation, nn.Linear)
        modulation.weight.data.mul_(0.5)
        for block in self.blocks:
            assert isinstance(block, Block)
            block.attn.proj.weight.data.div_(math.sqrt(2 * self.network.depth))
            block.ffn.fc2.weight.data.div_(math.sqrt(2 * self.network.depth))
            block.shrink_modulation(gain=1e-5, others=0.5)
