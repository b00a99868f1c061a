"""Recipe of latent diffusion: an autoencoder, then a rectified flow on its latents, saved as a diffusers pipeline.

Rectified flow (Liu et al., arXiv 2209.03003; logit-normal times as in Esser et al., arXiv 2403.03206, §3.1): with noise
z and time s, x_s = (1 - s) x + s z, and the network learns z - x. Sampling is DPM-Solver++ on the flow's sigmas.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trilemma.card import Card
from trilemma.families.text import TextEncoder
from trilemma.families.weights import network_from
from trilemma.training.captions import drop_captions
from trilemma.training.job import Job
from trilemma.training.loop import Stage, Step, autocast, learning_rate
from trilemma.training.reconstruction import IMAGES, ReconstructionStage, load_image_tower
from trilemma.training.split import TrainingSplit
from trilemma.training.token_cache import encode_training_split

PEAK_LEARNING_RATE = 1.5e-3
KL_WEIGHT = 1e-4
TIMESTEPS = 1000


@dataclass(frozen=True, kw_only=True)
class LatentDiffusionNetwork:
    """Architecture numbers of the card's [network] table."""

    resolution: int = 32
    channels: tuple[int, ...] = (32, 64, 64)
    res_blocks: int = 1
    latent: int = 4
    unet_channels: tuple[int, ...] = (56, 64)
    unet_blocks: int = 1
    heads: int = 4

    @property
    def side(self) -> int:
        """The latent's side."""
        return self.resolution >> (len(self.channels) - 1)


def build_autoencoder(network: LatentDiffusionNetwork) -> Any:
    """Returns diffusers' AutoencoderKL."""
    from diffusers import AutoencoderKL

    count = len(network.channels)
    return AutoencoderKL(  # type: ignore[no-untyped-call]
        down_block_types=("DownEncoderBlock2D",) * count, up_block_types=("UpDecoderBlock2D",) * count,
        block_out_channels=network.channels, layers_per_block=network.res_blocks, latent_channels=network.latent,
        norm_num_groups=8, sample_size=network.resolution, scaling_factor=1.0,
    )  # fmt: skip


def build_unet(network: LatentDiffusionNetwork, text_width: int) -> Any:
    """Returns diffusers' UNet2DConditionModel with cross-attention to the text's tokens."""
    from diffusers import UNet2DConditionModel

    count = len(network.unet_channels)
    return UNet2DConditionModel(  # type: ignore[no-untyped-call]
        sample_size=network.side, in_channels=network.latent, out_channels=network.latent,
        down_block_types=("CrossAttnDownBlock2D",) * count, up_block_types=("CrossAttnUpBlock2D",) * count,
        block_out_channels=network.unet_channels, layers_per_block=network.unet_blocks, norm_num_groups=8,
        cross_attention_dim=text_width, attention_head_dim=network.heads,
    )  # fmt: skip


class FlowStage(Stage):
    """Trains the denoiser on latents that were encoded once."""

    name = "unet"
    batch_size = 32
    averaged = ("unet",)

    def __init__(
        self,
        unet: nn.Module,
        latents: Tensor,
        data: TrainingSplit,
        text: TextEncoder,
        device: torch.device,
        images: int,
    ) -> None:
        self.unet, self.latents, self.data = unet.to(device), latents, data
        self.text, self.device, self.images = text, device, images
        self.modules = {"unet": unet}
        self.optimizers = {"adam": torch.optim.AdamW(unet.parameters(), betas=(0.9, 0.99), weight_decay=0.01)}

    def step(self, step: Step) -> dict[str, Tensor]:
        """One step of flow matching."""
        learning_rate(self.optimizers["adam"], PEAK_LEARNING_RATE, step.progress)
        tokens_BLD = self.text(drop_captions(self.data.prompts(step.indices), step)).tokens_BLD
        x = self.latents[torch.from_numpy(step.indices)].float().to(self.device)
        z = torch.randn(x.shape).to(self.device)
        time_B = torch.randn(len(x)).sigmoid().to(self.device)
        share = time_B[:, None, None, None]
        with autocast(self.device):
            output = self.unet((1 - share) * x + share * z, time_B * TIMESTEPS, tokens_BLD).sample
        loss = F.mse_loss(output.float(), z - x)
        self.optimizers["adam"].zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.unet.parameters(), 1.0)
        self.optimizers["adam"].step()
        return {"loss": loss}


@torch.no_grad()
def normalise_latents(autoencoder: Any, latents: Tensor) -> Tensor:
    """Folds the latents' mean and spread, channel by channel, into the 1x1 convolutions around them.

    Returns:
        The latents with mean 0 and variance 1, float32; the pipeline's scaling factor stays 1.
    """
    latents = latents.float()
    mean, spread = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    before, after = autoencoder.quant_conv, autoencoder.post_quant_conv
    channels = len(mean)
    before.weight[:channels] /= spread[:, None, None, None]
    before.bias[:channels] = (before.bias[:channels] - mean) / spread
    after.bias += after.weight[:, :, 0, 0] @ mean
    after.weight *= spread[None, :, None, None]
    return (latents - mean[:, None, None]) / spread[:, None, None]


def save_pipeline(autoencoder: Any, unet: Any, text_folder: Path, folder: Path) -> None:
    """Writes a StableDiffusionPipeline folder in float16."""
    from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline
    from transformers import CLIPTextModel, CLIPTokenizer

    scheduler = DPMSolverMultistepScheduler(  # type: ignore[no-untyped-call]
        num_train_timesteps=TIMESTEPS, use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=1.0,
        steps_offset=1,
    )  # fmt: skip
    pipeline: Any = StableDiffusionPipeline(  # type: ignore[no-untyped-call]
        vae=autoencoder, unet=unet, scheduler=scheduler,
        text_encoder=CLIPTextModel.from_pretrained(text_folder / "text_encoder"),
        tokenizer=CLIPTokenizer.from_pretrained(text_folder / "tokenizer"),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.to(torch.float16).save_pretrained(folder)
    pipeline.to(torch.float32)


def train(job: Job) -> None:
    """Trains the whole family and writes a folder that ``DiffusionPipeline.from_pretrained`` opens."""
    from diffusers.models.attention_processor import AttnProcessor

    network = network_from(LatentDiffusionNetwork, job.card)
    autoencoder = build_autoencoder(network)

    def reconstruct(images: Tensor) -> tuple[Tensor, Tensor]:
        posterior = autoencoder.encode(images).latent_dist
        extra = KL_WEIGHT * posterior.kl().mean() / posterior.mean[0].numel()
        return autoencoder.decode(posterior.sample()).sample, extra

    tower = load_image_tower(job.text_folder, job.device)
    stage = ReconstructionStage(autoencoder, job.data, tower, job.device, reconstruct)
    autoencoder.load_state_dict(job.run_tokenizer(stage).weights["tokenizer"])
    autoencoder.eval().requires_grad_(False)
    latents = encode_training_split(
        job.checkpoints / "latents.npy",
        job.data,
        lambda images: autoencoder.encode(images).latent_dist.mean,
        job.device,
        quiet=job.quiet,
    )
    latents = normalise_latents(autoencoder.cpu(), latents)
    job.reseed("unet")
    unet = build_unet(network, job.text.width)
    if job.device.type == "cpu":
        unet.set_attn_processor(AttnProcessor())  # in bfloat16 nearly twice as fast there as the fused kernel
    flow = FlowStage(unet, latents, job.data, job.text, job.device, job.images - IMAGES)
    sampled = build_unet(network, job.text.width)

    def export(weights: dict[str, dict[str, Tensor]], folder: Path) -> None:
        sampled.load_state_dict(weights["unet"])
        save_pipeline(autoencoder, sampled, job.text_folder, folder)

    job.run(flow, export)


def reconstruction(job: Job, card: Card) -> Callable[[Tensor], Tensor]:
    """Returns the autoencoder's encode-and-decode, from the weights as they are stored."""
    from diffusers import AutoencoderKL

    folder = card.path / "vae"
    autoencoder = AutoencoderKL.from_pretrained(folder, dtype=torch.float32)  # type: ignore[no-untyped-call]
    autoencoder = autoencoder.to(job.device).eval()

    def reconstruct(images: Tensor) -> Tensor:
        image: Tensor = autoencoder.decode(autoencoder.encode(images).latent_dist.mean).sample
        return image

    return reconstruct
