"""The fixed unit of work that speed scores are anchored by: one pass of a small frozen decoder.

Latent 4 x R/4 x R/4 -> RGB R x R, through two nearest-neighbour upsamplings and plain convolutions, 0.2 M parameters.
Its weights are random but seeded: they never change, and nothing depends on what the pictures show. Change nothing
here without a new VERSION: scores of different versions cannot be compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trilemma.protocol import SpeedSpec
from trilemma.timing.clock import Call
from trilemma.timing.sweep import sweep

if TYPE_CHECKING:
    import torch

VERSION = 1
SCENARIO = "reference_decoder"
LATENT_CHANNELS = 4
DOWNSAMPLING = 4
WIDTHS = (96, 64, 32)


class ReferenceDecoder:
    """The decoder on a device, for pictures of one resolution (a multiple of 4)."""

    def __init__(self, resolution: int, device: torch.device) -> None:
        import torch

        self.device = device
        self.side = max(1, resolution // DOWNSAMPLING)
        stream = torch.Generator("cpu").manual_seed(VERSION)
        self.weights = [w.to(device) for w in _weights(stream)]
        self.stream = stream

    def latents(self, count: int) -> torch.Tensor:
        """Returns float32 ``(count, 4, R/4, R/4)``."""
        import torch

        return torch.randn((count, LATENT_CHANNELS, self.side, self.side), generator=self.stream).to(self.device)

    def decode(self, latents_BCHW: torch.Tensor) -> torch.Tensor:
        """Returns uint8 ``(B, 3, R, R)`` on the host: transfer is part of the work, as it is of every model's."""
        import torch
        from torch.nn import functional as F

        with torch.inference_mode():
            x_BCHW = latents_BCHW
            for level in range(len(WIDTHS)):
                x_BCHW = F.silu(F.conv2d(x_BCHW, self.weights[2 * level], padding=1))
                x_BCHW = x_BCHW + F.silu(F.conv2d(x_BCHW, self.weights[2 * level + 1], padding=1))
                if level < len(WIDTHS) - 1:
                    x_BCHW = F.interpolate(x_BCHW, scale_factor=2.0, mode="nearest")
            rgb_BCHW = F.conv2d(x_BCHW, self.weights[-1], padding=1)
            return ((rgb_BCHW.tanh() + 1) * 127.5).round().to(torch.uint8).cpu()


def time_reference_decoder(resolution: int, spec: SpeedSpec, device: torch.device) -> list[Call]:
    """Returns the decoder's timings over the batch sizes of ``spec``."""
    decoder = ReferenceDecoder(resolution, device)
    latents = {size: decoder.latents(size) for size in spec.batch_sizes}
    return sweep(lambda size, _: decoder.decode(latents[size]), spec, device, SCENARIO)


def _weights(stream: torch.Generator) -> list[torch.Tensor]:
    import torch

    shapes: list[tuple[int, int]] = []
    for before, width in zip((LATENT_CHANNELS, *WIDTHS), WIDTHS, strict=False):
        shapes += [(width, before), (width, width)]
    shapes.append((3, WIDTHS[-1]))
    # He et al. 2015, equation 10: the scale that keeps the variance from layer to layer.
    return [torch.randn((o, i, 3, 3), generator=stream) * (2 / (9 * i)) ** 0.5 for o, i in shapes]
