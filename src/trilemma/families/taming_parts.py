"""The convolutional encoder and decoder of taming-transformers (Esser et al., arXiv 2012.09841)."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True, kw_only=True)
class AutoencoderNetwork:
    """``channels`` at full resolution, times ``multipliers`` after each halving; ``latent`` channels in the middle.

    ``attention`` names the resolutions with self-attention beside the middle. ``groups`` of the norms are taming's 32
    at full width; at 32 channels that would normalise every channel by itself.
    """

    resolution: int = 32
    channels: int = 32
    multipliers: tuple[int, ...] = (1, 2, 2)
    res_blocks: int = 1
    latent: int = 16
    attention: tuple[int, ...] = ()
    groups: int = 8


def build_encoder(network: AutoencoderNetwork) -> nn.Module:
    """Images ``(B, 3, R, R)`` to ``(B, latent, r, r)`` with r = R / 2 ** (len(multipliers) - 1)."""
    from taming.modules.diffusionmodules.model import Encoder

    return _grouped(Encoder(**_arguments(network), double_z=False), network.groups)


def build_decoder(network: AutoencoderNetwork) -> nn.Module:
    """Latents ``(B, latent, r, r)`` to images ``(B, 3, R, R)``."""
    from taming.modules.diffusionmodules.model import Decoder

    with contextlib.redirect_stdout(io.StringIO()):
        return _grouped(Decoder(**_arguments(network)), network.groups)


def _arguments(network: AutoencoderNetwork) -> dict[str, object]:
    return {
        "ch": network.channels, "out_ch": 3, "ch_mult": network.multipliers, "num_res_blocks": network.res_blocks,
        "attn_resolutions": network.attention, "in_channels": 3, "resolution": network.resolution,
        "z_channels": network.latent,
    }  # fmt: skip


def _grouped(module: nn.Module, groups: int) -> nn.Module:
    for part in module.modules():
        if isinstance(part, nn.GroupNorm):
            part.num_groups = groups
    return module
