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

from trilemma.families.var.blocks import Block, HeadNorm, Modulation


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


class Sampling:
    """What one call of the sampler keeps: all that the condition says, computed once, and keys and values.

    The cache ``(N, 2, B, heads, L, width / heads)`` of all layers and scales is allocated once.
    """

    def __init__(self, transformer: VarTransformer, given: Tensor) -> None:
        network, self.condition_BC = transformer.network, transformer.condition(given)
        self.modulations = transformer.modulations(self.condition_BC)
        self.positions_1LC = transformer.positions()
        shape = (network.depth, 2, len(given), network.heads, network.tokens, network.width // network.heads)
        self.cache_N2BHLc = self.condition_BC.new_empty(shape)
        self.length = 0

    def grow(self, count: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Makes room for a scale of ``count`` tokens: its positions, and for each layer all of the cache up to it."""
        begin, self.length = self.length, self.length + count
        filled = self.cache_N2BHLc[:, :, :, :, : self.length].unbind(0)
        return self.positions_1LC[:, begin : self.length], filled


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
        x_BLC = torch.cat([start, self.word_embed(inputs_BLV)], 1) + self.positions()
        mask = self.attn_bias_for_masking.to(x_BLC.dtype)
        return self._run(x_BLC, self.modulations(condition_BC), mask, [None] * len(self.blocks))

    def step(self, sampling: Sampling, inputs_BsV: Tensor | None) -> Tensor:
        """Sampling: logits ``(B, s * s, codes)`` of the next scale; ``inputs_BsV`` is None for the first."""
        if inputs_BsV is None:
            x_BLC = sampling.condition_BC[:, None] + self.pos_start
        else:
            x_BLC = self.word_embed(inputs_BsV.to(self.word_embed.weight.dtype))
        positions_1LC, filled = sampling.grow(x_BLC.shape[1])
        return self._run(x_BLC + positions_1LC, sampling.modulations, None, filled)

    def positions(self) -> Tensor:
        """Returns what is added to every token of all scales, ``(1, L, C)``."""
        levels_1LC: Tensor = self.lvl_embed(self.lvl_1L)
        return levels_1LC + self.pos_1LC

    def modulations(self, condition_BC: Tensor) -> list[Modulation]:
        """Returns what the condition does to each block, and last to the norm before the head."""
        condition = condition_BC
        if self.network.shared_ada:
            condition = self.shared_ada_lin(condition_BC).view(-1, 1, 6, self.network.width)
        blocks = [block for block in self.blocks if isinstance(block, Block)]
        return [*[block.modulation(condition) for block in blocks], self.head_nm.modulation(condition_BC)]

    def _run(
        self, x_BLC: Tensor, modulations: Sequence[Modulation], mask: Tensor | None, caches: Sequence[Tensor | None]
    ) -> Tensor:
        for block, modulation, cache in zip(self.blocks, modulations[:-1], caches, strict=True):
            x_BLC = block(x_BLC, modulation, mask, cache)
        logits: Tensor = self.head(self.head_nm(x_BLC, modulations[-1]))
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
