"""The multi-scale residual quantiser of VAR (Tian et al., arXiv 2404.02905, Algorithms 1 and 2), official layout.

At each scale the residual is shrunk by area, replaced by the nearest codes of one shared codebook, grown bicubically,
passed through one of four shared convolutions ``phi(x) = x / 2 + conv(x) / 2``, and taken off the residual.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

PHIS = 4
RESIDUAL_SHARE = 0.5


class SharedConvolutions(nn.Module):
    """Four convolutions; each scale uses the one whose tick lies nearest to its place among the scales."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qresi_ls = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(PHIS))

    def forward(self, x_BCHW: Tensor, place: float) -> Tensor:
        """Applies the convolution for ``place`` in [0, 1]."""
        phi = self.qresi_ls[_nearest_tick(place)]
        convolved: Tensor = phi(x_BCHW)
        return x_BCHW * (1 - RESIDUAL_SHARE) + convolved * RESIDUAL_SHARE


def _nearest_tick(place: float) -> int:
    ticks = np.linspace(1 / 3 / PHIS, 1 - 1 / 3 / PHIS, PHIS)
    return int(np.abs(ticks - place).argmin())


class MultiScaleQuantizer(nn.Module):
    """Codebook and convolutions. State-dict names are those of the official VQVAE's ``quantize``."""

    def __init__(self, codes: int, width: int, scales: Sequence[int]) -> None:
        super().__init__()
        self.scales = tuple(scales)
        self.embedding = nn.Embedding(codes, width)
        self.quant_resi = SharedConvolutions(width)
        self.register_buffer("ema_vocab_hit_SV", torch.zeros(len(scales), codes))

    def nearest(self, x_NC: Tensor) -> Tensor:
        """Returns the indices ``(N,)`` of the nearest codes."""
        codebook = self.embedding.weight
        distance = codebook.square().sum(1) - 2 * x_NC @ codebook.T
        return distance.argmin(1)

    def shrink(self, x_BCHW: Tensor, side: int) -> Tensor:
        """Averages to ``(B, C, side, side)``."""
        return x_BCHW if x_BCHW.shape[-1] == side else F.interpolate(x_BCHW, size=(side, side), mode="area")

    def grow(self, codes_BChw: Tensor, scale: int) -> Tensor:
        """Returns what the codes of scale number ``scale`` add to the full-size latent."""
        side = self.scales[-1]
        if codes_BChw.shape[-1] != side:
            codes_BChw = F.interpolate(codes_BChw, size=(side, side), mode="bicubic")
        place = scale / (len(self.scales) - 1) if len(self.scales) > 1 else 0.0
        grown: Tensor = self.quant_resi(codes_BChw, place)
        return grown

    def look_up(self, indices_BT: Tensor, scale: int) -> Tensor:
        """Returns the codes ``(B, C, s, s)`` of one scale's indices in raster order."""
        side = self.scales[scale]
        codes_BTC: Tensor = self.embedding(indices_BT)
        codes_BChw: Tensor = codes_BTC.transpose(1, 2).unflatten(2, (side, side))
        return codes_BChw

    def encode(self, latent_BCHW: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yields for each scale its residuals ``(N, C)``, their indices ``(B, s * s)`` and the latent so far."""
        residual, total = latent_BCHW, torch.zeros_like(latent_BCHW)
        for scale, side in enumerate(self.scales):
            vectors_NC = self.shrink(residual, side).permute(0, 2, 3, 1).flatten(0, 2)
            indices_BT = self.nearest(vectors_NC).view(len(latent_BCHW), -1)
            grown = self.grow(self.look_up(indices_BT, scale), scale)
            residual, total = residual - grown, total + grown
            yield vectors_NC, indices_BT, total

    def sums(self, indices: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yields the full-size latent that the scales so far decode to, after each scale's indices ``(B, s * s)``."""
        total = torch.zeros(())
        for scale, index_BT in enumerate(indices):
            total = total + self.grow(self.look_up(index_BT, scale), scale)
            yield total

    def teacher_inputs(self, indices: Sequence[Tensor]) -> Tensor:
        """Returns what the transformer reads at scales 2, 3, ...: ``(B, L - first, C)``."""
        sums = zip(self.sums(indices[:-1]), self.scales[1:], strict=True)
        return torch.cat([self.next_inputs(total, side) for total, side in sums], 1)

    def next_inputs(self, total_BCHW: Tensor, side: int) -> Tensor:
        """Returns what the transformer reads at a scale, ``(B, side * side, C)``, of the latent before it."""
        return self.shrink(total_BCHW, side).flatten(2).transpose(1, 2)
