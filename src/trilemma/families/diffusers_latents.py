"""Between latents and images: what pipelines do after their last step, for the steps before it.

image = decode(latents / scaling factor + shift)
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Latents:
    """A pipeline's autoencoder, where it has one.

    Attributes:
        autoencoder: None for a pipeline that works on pixels.
        can_decode, can_encode: whether this is how the pipeline does it, as far as its settings tell.
    """

    def __init__(self, pipeline: Any) -> None:
        from diffusers import AutoencoderKL

        found = [getattr(pipeline, name, None) for name in ("vae", "vqvae")]
        networks = [network for network in found if isinstance(network, nn.Module)]
        self._pipeline = pipeline
        self.autoencoder: Any = networks[0] if networks else None
        config: Any = {} if self.autoencoder is None else self.autoencoder.config
        plain = config.get("latents_mean") is None and config.get("latents_std") is None
        self.can_decode = "scaling_factor" in config and plain
        one_by_one = isinstance(self.autoencoder, AutoencoderKL) and not hasattr(pipeline, "_unpack_latents")
        self.can_encode = self.can_decode and one_by_one

    def decode(self, latents: Tensor, side: int) -> Tensor:
        """Returns float images ``(B, 3, side, side)`` in [0, 1], as far as the network keeps to it."""
        if hasattr(self._pipeline, "_unpack_latents"):  # of transformers whose tokens are patches of latents
            latents = self._pipeline._unpack_latents(latents, side, side, self._pipeline.vae_scale_factor)
        config = self.autoencoder.config
        latents = latents / config.scaling_factor
        if (shift := config.get("shift_factor")) is not None:
            latents = latents + shift
        return self._decoded(latents) / 2 + 0.5

    def encode(self, images: Tensor) -> Tensor:
        """Returns the latents of uint8 images ``(B, 3, H, W)``."""
        vae = self.autoencoder
        encoded = vae.encode(images.to(vae.device, vae.dtype) / 127.5 - 1)
        mode: Tensor = encoded.latent_dist.mode()
        shift = vae.config.get("shift_factor")
        latents: Tensor = (mode if shift is None else mode - shift) * vae.config.scaling_factor
        return latents

    def _decoded(self, latents: Tensor) -> Tensor:
        vae = self.autoencoder
        overflows = hasattr(self._pipeline, "upcast_vae") and vae.dtype == torch.float16 and vae.config.force_upcast
        if overflows:  # the pipeline itself decodes in float32 then
            vae.to(dtype=torch.float32)
        images: Tensor = vae.decode(latents.to(vae.dtype)).sample
        if overflows:
            vae.to(dtype=torch.float16)
        return images


def own_side(pipeline: Any) -> int | None:
    """Returns the side of the images of a pipeline that takes no size; None where its settings do not tell."""
    denoiser = getattr(pipeline, "unet", None) or getattr(pipeline, "transformer", None)
    side = denoiser.config.get("sample_size") if denoiser is not None else None
    if not isinstance(side, int):
        return None
    autoencoder = Latents(pipeline).autoencoder
    if autoencoder is None:
        return side
    widths = autoencoder.config.get("block_out_channels") or autoencoder.config.get("encoder_block_out_channels")
    return side << (len(widths) - 1) if widths else None
