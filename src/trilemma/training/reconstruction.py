"""What all tokenizers and autoencoders are trained with, so that no family has a better one: the same loss, the same
number of images.

Absolute error, absolute error of the differences between neighbours (edges), and a perceptual distance on the feature
maps (after Johnson et al., arXiv 1603.08155) and the embedding of the text encoder's image tower, which is no
instrument that scores.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trilemma.families.weights import load_weights
from trilemma.training.loop import Stage, Step, autocast, learning_rate
from trilemma.training.split import TrainingSplit
from trilemma.training.text_encoder import ImageTower

IMAGES = 120_000
PEAK_LEARNING_RATE = 1.5e-3
PERCEPTUAL_WEIGHT = 3.0


def load_image_tower(text_folder: Path, device: torch.device) -> ImageTower:
    """Returns the frozen image tower that lies beside the text encoder."""
    tower = ImageTower()
    load_weights(tower, text_folder / "image_tower.safetensors")
    return tower.to(device).eval().requires_grad_(False)


def reconstruction_loss(output_B3HW: Tensor, target_B3HW: Tensor, tower: ImageTower) -> Tensor:
    """The loss of a batch of images in [-1, 1], as a scalar; the perceptual part is that of half of the batch."""
    pixels = F.l1_loss(output_B3HW, target_B3HW)
    edges = F.l1_loss(output_B3HW.diff(dim=2), target_B3HW.diff(dim=2))
    edges = edges + F.l1_loss(output_B3HW.diff(dim=3), target_B3HW.diff(dim=3))
    few = max(1, len(output_B3HW) // 2)
    shown, wanted = tower.stages(output_B3HW[:few]), tower.stages(target_B3HW[:few])
    perceptual = torch.stack([F.l1_loss(a, b) for a, b in zip(shown, wanted, strict=True)]).mean()
    cosine = F.cosine_similarity(tower.embed(shown[-1]).float(), tower.embed(wanted[-1]).float())
    perceptual = perceptual + (1 - cosine).mean()
    return pixels + edges + PERCEPTUAL_WEIGHT * perceptual


class ReconstructionStage(Stage):
    """Trains ``module``, which maps images to (reconstruction, extra loss), by reconstruction."""

    name = "tokenizer"
    images = IMAGES
    batch_size = 32
    averaged = ("tokenizer",)

    def __init__(
        self,
        module: nn.Module,
        data: TrainingSplit,
        tower: ImageTower,
        device: torch.device,
        forward: Callable[[Tensor], tuple[Tensor, Tensor]],
    ) -> None:
        self.data, self.device, self.tower, self.forward = data, device, tower, forward
        self.modules = {"tokenizer": module.to(device)}
        self.optimizers = {"adam": torch.optim.AdamW(module.parameters(), betas=(0.9, 0.99), weight_decay=0.01)}
        self.parameters = list(module.parameters())

    def step(self, step: Step) -> dict[str, Tensor]:
        """One step of reconstruction."""
        learning_rate(self.optimizers["adam"], PEAK_LEARNING_RATE, step.progress)
        images = self.data.pictures(step.indices, self.device)
        with autocast(self.device):
            output, extra = self.forward(images)
            loss = reconstruction_loss(output.float(), images, self.tower)
        total = loss + extra
        self.optimizers["adam"].zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizers["adam"].step()
        return {"loss": loss, "extra": extra, "mse": F.mse_loss(output.detach().float(), images)}
