"""The networks of Taming Transformers (Esser et al., arXiv 2012.09841): a VQGAN, and a GPT over its codes.

The modules are taming-transformers' own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn

from trilemma.families.taming_parts import AutoencoderNetwork, build_decoder, build_encoder

if TYPE_CHECKING:
    from taming.modules.transformer.mingpt import GPT


@dataclass(frozen=True, kw_only=True)
class TamingNetwork:
    """Architecture numbers of the card's [network] table, or of a checkpoint's own configuration.

    ``codes`` are of width ``code_width``, or else ``latent``. The transformer reads ``block`` tokens, or else as many
    as a picture has; ``classes`` is 0 where it is unconditional.
    """

    resolution: int = 256
    channels: int = 128
    multipliers: tuple[int, ...] = (1, 1, 2, 2, 4)
    res_blocks: int = 2
    attention: tuple[int, ...] = (16,)
    groups: int = 32
    latent: int = 256
    code_width: int = 0
    codes: int = 16384
    layers: int = 48
    heads: int = 24
    width: int = 1536
    block: int = 0
    classes: int = 1000

    @property
    def autoencoder(self) -> AutoencoderNetwork:
        """The convolutional part."""
        return AutoencoderNetwork(
            resolution=self.resolution, channels=self.channels, multipliers=self.multipliers, groups=self.groups,
            res_blocks=self.res_blocks, latent=self.latent, attention=self.attention,
        )  # fmt: skip

    @property
    def side(self) -> int:
        """Tokens along one side of the picture."""
        return self.resolution >> (len(self.multipliers) - 1)


class Vqgan(nn.Module):
    """Codebook, decoder and, for counting, encoder."""

    def __init__(self, network: TamingNetwork, *, with_encoder: bool = True) -> None:
        super().__init__()
        self.encoder = build_encoder(network.autoencoder) if with_encoder else None
        width = network.code_width or network.latent
        self.quant_conv = nn.Conv2d(network.latent, width, 1) if with_encoder else None
        self.codebook = nn.Embedding(network.codes, width)
        self.post_quant_conv = nn.Conv2d(width, network.latent, 1)
        self.decoder = build_decoder(network.autoencoder)

    def forward(self, tokens_BHW: Tensor) -> Tensor:
        """Returns images in about [-1, 1] of tokens."""
        codes_BCHW = self.codebook(tokens_BHW).permute(0, 3, 1, 2)
        images: Tensor = self.decoder(self.post_quant_conv(codes_BCHW))
        return images


def build_gpt(network: TamingNetwork) -> GPT:
    """What begins the picture and all tokens but the last are read: the block can be as long as the picture."""
    from taming.modules.transformer.mingpt import GPT

    block = network.block or network.side**2
    return GPT(network.codes, block, n_layer=network.layers, n_head=network.heads, n_embd=network.width)
