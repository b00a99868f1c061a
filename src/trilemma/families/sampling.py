"""Guidance and categorical draws, shared by the autoregressive families."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from trilemma.families.text import TextEncoder


def embed_for_guidance(text: TextEncoder, prompts: Sequence[str], scale: float) -> tuple[Tensor, bool]:
    """Returns the pooled embeddings to run, and whether they are guided.

    Guided, ``(2B, D)``: the prompts, then as many empty ones. A scale of 1, or no prompt at all, needs ``(B, D)``.
    """
    text_BD = text.pooled(prompts)
    guided = scale != 1.0 and any(prompts)
    return (torch.cat([text_BD, text.empty_1D.expand_as(text_BD)]) if guided else text_BD), guided


def guide(stacked_2BV: Tensor, scale: float | Tensor) -> Tensor:
    """Returns ``u + s (c - u)`` of logits whose first half is conditional and whose second half is not.

    A scale of 1 is no guidance (Ho and Salimans, arXiv 2207.12598, with w = s - 1).
    """
    conditional, unconditional = stacked_2BV.chunk(2)
    return unconditional + scale * (conditional - unconditional)


def sample_categorical(
    logits_BV: Tensor, uniform_B: Tensor, *, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0
) -> Tensor:
    """Draws one index per row by inverting the cumulative distribution at ``uniform_B``.

    Args:
        logits_BV: any float dtype.
        uniform_B: float64 in [0, 1), one for each row.
        temperature: divides the logits; 0 takes the likeliest.
        top_k: keeps the k likeliest before the nucleus is taken; 0 keeps all.
        top_p: keeps the smallest set whose probability reaches ``top_p``.

    Returns:
        int64 ``(B,)``.
    """
    if temperature == 0:
        return logits_BV.argmax(-1)
    probability_BV = kept_probabilities(logits_BV, temperature=temperature, top_k=top_k, top_p=top_p)
    cumulative_BV = probability_BV.cumsum(-1)
    target_B1 = uniform_B[:, None] * cumulative_BV[:, -1:]
    return torch.searchsorted(cumulative_BV, target_B1, right=True)[:, 0].clamp(max=logits_BV.shape[-1] - 1)


def kept_probabilities(logits_BV: Tensor, *, temperature: float, top_k: int, top_p: float) -> Tensor:
    """Returns float64 ``(B, V)``: the probabilities, 0 where cut off. See :func:`sample_categorical`."""
    scaled_BV = logits_BV.double()
    if temperature != 1:
        scaled_BV = scaled_BV / temperature
    if 0 < top_k < scaled_BV.shape[-1]:
        least = scaled_BV.topk(top_k, dim=-1).values[:, -1:]
        scaled_BV = scaled_BV.masked_fill(scaled_BV < least, -torch.inf)
    probability_BV = scaled_BV.softmax(-1)
    return _nucleus(probability_BV, top_p) if top_p < 1 else probability_BV


def _nucleus(probability_BV: Tensor, top_p: float) -> Tensor:
    ordered, order = probability_BV.sort(-1, descending=True)
    before = ordered.cumsum(-1) - ordered
    kept = torch.zeros_like(probability_BV).scatter(-1, order, ordered * (before < top_p))
    return kept / kept.sum(-1, keepdim=True)
