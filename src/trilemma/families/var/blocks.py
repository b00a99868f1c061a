"""The blocks of VAR's transformer (arXiv 2404.02905, §3.2), with the official tensor names and layout.

What the condition does to a block, its modulation, is computed apart: the sampler needs it once, not once a scale.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Modulation = tuple[Tensor, ...]


def attend_plainly(q_BHLc: Tensor, k_BHTc: Tensor, v_BHTc: Tensor, mask: Tensor | None) -> Tensor:
    """Returns softmax(q kᵀ + mask) v, written out.

    At these sizes torch's fused kernel for CPUs is several times slower than two products.
    """
    scores = q_BHLc @ k_BHTc.transpose(-1, -2)
    y_BHLc: Tensor = (scores if mask is None else scores + mask).softmax(-1).to(v_BHTc.dtype) @ v_BHTc
    return y_BHLc


def attend_fused(q_BHLc: Tensor, k_BHTc: Tensor, v_BHTc: Tensor, mask: Tensor | None) -> Tensor:
    """Returns the same by torch's fused kernel, which never holds the scores of all heads in a GPU's memory."""
    y_BHLc: Tensor = F.scaled_dot_product_attention(q_BHLc, k_BHTc, v_BHTc, attn_mask=mask, scale=1.0)
    return y_BHLc


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

    def forward(self, x_BLC: Tensor, mask: Tensor | None, past_2BHTc: Tensor | None) -> Tensor:
        """Returns ``(B, L, C)``; ``mask`` is added to the scores.

        ``past_2BHTc`` holds the keys and values of the tokens so far, with room for these L at its end.
        """
        bias = torch.cat([self.q_bias, self.zero_k_bias, self.v_bias])
        qkv = F.linear(x_BLC, self.mat_qkv.weight, bias).unflatten(2, (3, self.heads, -1))
        q_BHLc, k_BHLc, v_BHLc = qkv.permute(2, 0, 3, 1, 4)
        scale = self.scale_mul_1H11.clamp(max=math.log(100)).exp()
        q_BHLc, k_BHLc = F.normalize(q_BHLc, dim=-1) * scale, F.normalize(k_BHLc, dim=-1)
        if past_2BHTc is not None:
            length = x_BLC.shape[1]
            past_2BHTc[0, :, :, -length:] = k_BHLc
            past_2BHTc[1, :, :, -length:] = v_BHLc
            k_BHLc, v_BHLc = past_2BHTc.unbind(0)
        attend = attend_fused if x_BLC.is_cuda else attend_plainly
        y = attend(q_BHLc, k_BHLc, v_BHLc, mask)
        projected: Tensor = self.proj(y.transpose(1, 2).flatten(2))
        return projected


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

    def modulation(self, condition: Tensor) -> Modulation:
        """Returns gains, scales and shifts of ``(B, C)``, or of ``(B, 1, 6, C)`` where the modulation is shared."""
        if self.shared_ada:
            modulation = self.ada_gss + condition
        else:
            modulation = self.ada_lin(condition).view(-1, 1, 6, self.width)
        gain1, gain2, scale1, scale2, shift1, shift2 = modulation.unbind(2)
        return gain1, gain2, scale1 + 1, scale2 + 1, shift1, shift2

    def forward(self, x_BLC: Tensor, modulation: Modulation, mask: Tensor | None, past: Tensor | None) -> Tensor:
        """Returns ``(B, L, C)``."""
        gain1, gain2, scale1, scale2, shift1, shift2 = modulation
        h = torch.addcmul(shift1, F.layer_norm(x_BLC, (self.width,), eps=1e-6), scale1)
        x_BLC = torch.addcmul(x_BLC, self.attn(h, mask, past), gain1)
        h = torch.addcmul(shift2, F.layer_norm(x_BLC, (self.width,), eps=1e-6), scale2)
        return torch.addcmul(x_BLC, self.ffn(h), gain2)


class HeadNorm(nn.Module):
    """The modulated layer norm before the head."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.ada_lin = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))

    def modulation(self, condition_BC: Tensor) -> Modulation:
        """Returns scale and shift."""
        modulation: Tensor = self.ada_lin(condition_BC)
        scale, shift = modulation.view(-1, 1, 2, self.width).unbind(2)
        return scale + 1, shift

    def forward(self, x_BLC: Tensor, modulation: Modulation) -> Tensor:
        """Returns ``(B, L, C)``."""
        scale, shift = modulation
        return torch.addcmul(shift, F.layer_norm(x_BLC, (self.width,), eps=1e-6), scale)
