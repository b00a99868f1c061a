"""taming's GPT one token at a time: keys and values are kept in a cache that is allocated once for all tokens.

Batches of one token are small work, so that what surrounds the arithmetic decides: queries, keys and values are one
projection, attention reads the filled part of the cache alone, and weights are looked up once, not once a token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trilemma.families.sampling import guide, sample_categorical

if TYPE_CHECKING:
    from taming.modules.transformer.mingpt import GPT, Block

Affine = tuple[Tensor, Tensor]


class Layer(NamedTuple):
    """Weights and biases of one block of the GPT."""

    norm: Affine
    qkv: Affine
    project: Affine
    norm_again: Affine
    expand: Affine
    contract: Affine


Advance = Callable[[Tensor, Tensor, Layer], Tensor]


def advance(x_BC: Tensor, past_2BHtc: Tensor, layer: Layer) -> Tensor:
    """Runs one block on one token of each sample.

    Args:
        x_BC: the token's state.
        past_2BHtc: keys and values of the tokens so far, and room for this one's at the end, which is filled here.
        layer: the block's weights.

    Returns:
        ``(B, C)``.
    """
    _, batch, heads, length, width = past_2BHtc.shape
    channels = heads * width
    qkv_B3C = F.linear(F.layer_norm(x_BC, (channels,), *layer.norm), *layer.qkv)
    past_2BHtc[:, :, :, -1] = qkv_B3C[:, channels:].view(batch, 2, heads, width).transpose(0, 1)
    keys, values = past_2BHtc.flatten(1, 2).unbind(0)
    query = (qkv_B3C[:, :channels] * width**-0.5).view(batch * heads, 1, width)
    # Written out: for one query the fused kernel for CPUs is slower than two products.
    attended = torch.bmm(torch.bmm(query, keys.transpose(1, 2)).softmax(-1), values).view(batch, channels)
    x_BC = x_BC + F.linear(attended, *layer.project)
    hidden = F.gelu(F.linear(F.layer_norm(x_BC, (channels,), *layer.norm_again), *layer.expand))
    return x_BC + F.linear(hidden, *layer.contract)


class CachedPrior:
    """A GPT at the beginning of ``tokens`` tokens for each of ``batch`` samples.

    Its query, key and value weights become views of one tensor, so that nothing is held twice.
    """

    def __init__(self, gpt: GPT, tokens: int, batch: int, *, advance: Advance = advance) -> None:
        self.gpt, self.advance = gpt, advance
        self.layers = [_layer(block) for block in gpt.blocks]
        self.positions_TC = gpt.pos_emb[0].unbind(0)
        weight, heads = gpt.tok_emb.weight, gpt.config.n_head
        shape = (len(gpt.blocks), 2, batch, heads, tokens, weight.shape[1] // heads)
        self.cache_N2BHTc = torch.empty(shape, dtype=weight.dtype, device=weight.device)
        self.position = 0

    def start(self, embedding_BC: Tensor) -> Tensor:
        """Feeds the embedding of what the tokens are conditioned on; returns the logits ``(B, V)`` of the first."""
        return self._advance(embedding_BC)

    def step(self, tokens_B: Tensor) -> Tensor:
        """Feeds one token for each sample and returns the logits ``(B, V)`` of the next."""
        return self._advance(self.gpt.tok_emb(tokens_B))

    def _advance(self, x_BC: Tensor) -> Tensor:
        x_BC = x_BC + self.positions_TC[self.position]
        self.position += 1
        filled = self.cache_N2BHTc[:, :, :, :, : self.position].unbind(0)
        for layer, past_2BHtc in zip(self.layers, filled, strict=True):
            x_BC = self.advance(x_BC, past_2BHtc, layer)
        logits: Tensor = self.gpt.head(self.gpt.ln_f(x_BC))
        return logits


def draw_tokens(
    gpt: GPT,
    embedding_BC: Tensor,
    uniform_BT: Tensor,
    *,
    guidance_scale: float | None,
    advance: Advance = advance,
    **sampling: float,
) -> Tensor:
    """Draws T tokens for each sample, one after the other.

    Args:
        gpt: the network.
        embedding_BC: what the tokens are conditioned on; guided, ``(2B, C)``, the second half without a condition.
        uniform_BT: float64 in [0, 1), on the network's device.
        guidance_scale: see :func:`.guide`; None where nothing is guided.
        advance: :func:`advance` or what it was compiled to.
        sampling: see :func:`.sample_categorical`.

    Returns:
        int64 ``(B, T)``.
    """
    cached = CachedPrior(gpt, uniform_BT.shape[1], len(embedding_BC), advance=advance)
    logits = cached.start(embedding_BC)
    tokens: list[Tensor] = []
    for uniform_B in uniform_BT.t().contiguous().unbind(0):
        if tokens:
            logits = cached.step(tokens[-1] if guidance_scale is None else tokens[-1].repeat(2))
        chosen = logits if guidance_scale is None else guide(logits, guidance_scale)
        tokens.append(sample_categorical(chosen, uniform_B, **sampling))  # type: ignore[arg-type]
    return torch.stack(tokens, 1)


def _layer(block: Block) -> Layer:
    attention = block.attn
    thirds = (attention.query, attention.key, attention.value)
    expand, _, contract, _ = block.mlp
    return Layer(
        norm=_affine(block.ln1),
        qkv=(_joined([part.weight for part in thirds]), _joined([part.bias for part in thirds])),
        project=_affine(attention.proj),
        norm_again=_affine(block.ln2),
        expand=_affine(expand),
        contract=_affine(contract),
    )


def _affine(module: nn.LayerNorm | nn.Linear) -> Affine:
    return module.weight, module.bias


def _joined(parameters: Sequence[nn.Parameter]) -> Tensor:
    """Returns the parameters one after the other, as the one tensor that they are views of from now on."""
    first = parameters[0]
    size = (len(parameters) * first.shape[0], *first.shape[1:])
    if not _are_joined(parameters):
        with torch.inference_mode(False):
            whole = torch.cat([parameter.detach() for parameter in parameters])
            for parameter, part in zip(parameters, whole.split(first.shape[0]), strict=True):
                parameter.data = part
    return first.detach().as_strided(size, first.stride())


def _are_joined(parameters: Sequence[nn.Parameter]) -> bool:
    first = parameters[0]
    storage, step = first.untyped_storage().data_ptr(), first.numel() * first.element_size()
    return all(
        parameter.untyped_storage().data_ptr() == storage and parameter.data_ptr() == first.data_ptr() + place * step
        for place, parameter in enumerate(parameters)
    )
