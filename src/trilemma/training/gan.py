"""Recipe of the GAN: the losses of R3GAN at every step (arXiv 2501.05441, §3), and a matching-aware term.

Relativistic pairing loss with zero-centred gradient penalties on real (R1) and generated (R2) images. The penalties
are taken on a quarter of each batch. The matching-aware term (Reed et al., arXiv 1605.05396, §4.2) pairs a real image
with a caption in which one factor is wrong; through the projection head it costs next to nothing.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from trilemma.families.gan import Discriminator, GanNetwork, GeneratorNetwork
from trilemma.families.text import TextEncoder
from trilemma.families.weights import network_from
from trilemma.training.captions import drop_captions, wrong_captions
from trilemma.training.job import Job
from trilemma.training.loop import Stage, Step, autocast, learning_rate
from trilemma.training.split import TrainingSplit

PEAK_LEARNING_RATE = 8e-4
GAMMA = (1.0, 0.2)
BETA2 = (0.9, 0.99)


class GanStage(Stage):
    """Trains generator and discriminator, one step each in turn."""

    name = "generator"
    batch_size = 32
    averaged = ("generator",)

    def __init__(
        self, network: GanNetwork, data: TrainingSplit, text: TextEncoder, device: torch.device, images: int
    ) -> None:
        self.data, self.images = data, images
        self.device = device
        self.text = text
        self.latent = network.latent
        fast = torch.channels_last
        self.generator = GeneratorNetwork(network, text.width).to(memory_format=fast).to(device)
        self.discriminator = Discriminator(network, text.width).to(memory_format=fast).to(device)
        self.modules = {"generator": self.generator, "discriminator": self.discriminator}
        self.optimizers = {
            name: torch.optim.Adam(module.parameters(), betas=(0.0, BETA2[0])) for name, module in self.modules.items()
        }

    def step(self, step: Step) -> dict[str, Tensor]:
        """One step of the discriminator, then one of the generator, on the same batch."""
        for optimizer in self.optimizers.values():
            learning_rate(optimizer, PEAK_LEARNING_RATE, step.progress, warmup=0.005)
            for group in optimizer.param_groups:
                group["betas"] = (0.0, BETA2[0] + (BETA2[1] - BETA2[0]) * min(1.0, 2 * step.progress))
        gamma = GAMMA[0] * (GAMMA[1] / GAMMA[0]) ** step.progress
        captions = drop_captions(self.data.prompts(step.indices), step)
        wrong = wrong_captions(self.data, step)
        real = self.data.pictures(step.indices, self.device)
        text, wrong_text = self.text(captions).pooled_BD, self.text(wrong).pooled_BD
        empty = np.array([caption == "" for caption in captions])
        losses = self._discriminate(real, text, wrong_text, torch.from_numpy(~empty).to(self.device), empty, gamma)
        return losses | self._generate(real, text, empty)

    def _fake(self, text_BD: Tensor, empty: np.ndarray) -> Tensor:
        z_BZ = torch.randn(len(text_BD), self.latent).to(self.device)
        components = self.generator.components[torch.randint(len(self.generator.components), (len(text_BD),))]
        text_BD = torch.where(torch.from_numpy(empty).to(self.device)[:, None], components, text_BD)
        with autocast(self.device):
            image: Tensor = self.generator(z_BZ, text_BD)
        return image.float()

    def _discriminate(
        self, real: Tensor, text: Tensor, wrong_text: Tensor, named_B: Tensor, empty: np.ndarray, gamma: float
    ) -> dict[str, Tensor]:
        with torch.no_grad():
            fake = self._fake(text, empty)
        with autocast(self.device):
            features = self.discriminator.features(torch.cat([real, fake])).float()
        real_features, fake_features = features.chunk(2)
        real_score = self.discriminator.judge(real_features, text)
        pairing = F.softplus(self.discriminator.judge(fake_features, text) - real_score).mean()
        mismatch = F.softplus(self.discriminator.judge(real_features, wrong_text) - real_score)
        matching = (mismatch * named_B).sum() / named_B.sum().clamp(min=1)
        quarter = len(real) // 4
        penalty = self._penalty(torch.cat([real[:quarter], fake[:quarter]]), torch.cat([text[:quarter]] * 2)) * 2
        self._update("discriminator", pairing + matching + 0.5 * gamma * penalty)
        return {"d": pairing, "match": matching, "r": penalty}

    def _penalty(self, images: Tensor, text: Tensor) -> Tensor:
        images = images.requires_grad_(True)
        # A copy, because torch's counter of operations (see ``step_flops``) cannot follow a leaf into a module.
        score = self.discriminator(images.clone(), text).sum()
        (gradient,) = torch.autograd.grad(score, images, create_graph=True)
        return gradient.square().sum(dim=(1, 2, 3)).mean()

    def _generate(self, real: Tensor, text: Tensor, empty: np.ndarray) -> dict[str, Tensor]:
        fake = self._fake(text, empty)
        with torch.no_grad(), autocast(self.device):
            real_score = self.discriminator(real, text)
        with autocast(self.device):
            fake_score = self.discriminator(fake, text)
        loss = F.softplus(real_score.float() - fake_score.float()).mean()
        self._update("generator", loss)
        return {"g": loss}

    def _update(self, name: str, loss: Tensor) -> None:
        self.optimizers[name].zero_grad()
        loss.backward(inputs=list(self.modules[name].parameters()))
        self.optimizers[name].step()


def train(job: Job) -> None:
    """Trains the whole family and writes ``generator.safetensors``."""
    stage = GanStage(network_from(GanNetwork, job.card), job.data, job.text, job.device, job.images)
    job.run(stage, lambda weights, folder: job.save(weights["generator"], folder / "generator.safetensors"))
