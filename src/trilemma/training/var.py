"""Recipe of the coarse-to-fine model: the multi-scale tokenizer by reconstruction, then next-scale prediction.

The codebook follows the residuals of all scales by an exponential moving average, and codes that fall out of use
restart at vectors of the batch (van den Oord et al., arXiv 1711.00937, appendix A.1; Lee et al., arXiv 2203.01941): at
this size a codebook that is trained by gradients collapses.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from trilemma.card import Card
from trilemma.families.text import TextEncoder
from trilemma.families.var.model import MultiScaleTokenizer, VarNetwork
from trilemma.families.var.quantizer import MultiScaleQuantizer
from trilemma.families.var.transformer import VarTransformer
from trilemma.families.weights import network_from
from trilemma.training.captions import drop_captions
from trilemma.training.job import Job
from trilemma.training.loop import Stage, Step, autocast, learning_rate
from trilemma.training.reconstruction import IMAGES, ReconstructionStage, load_image_tower
from trilemma.training.split import TrainingSplit
from trilemma.training.text_encoder import ImageTower
from trilemma.training.token_cache import encode_training_split

PEAK_LEARNING_RATE = 1.5e-3
ENCODER = "encoder.safetensors"
COMMITMENT = 0.25
DECAY = 0.99
DEAD = 0.05


class CodebookAverage(nn.Module):
    """Moves the codebook to the running mean of the vectors that chose each code, and restarts dead codes."""

    count_V: Tensor
    sum_VC: Tensor
    started: Tensor

    def __init__(self, quantizer: MultiScaleQuantizer) -> None:
        super().__init__()
        codes, width = quantizer.embedding.weight.shape
        self.quantizer = [quantizer]  # in a list, so that it is no submodule and not saved twice
        self.register_buffer("count_V", torch.ones(codes))
        self.register_buffer("sum_VC", torch.randn(codes, width))
        self.register_buffer("started", torch.zeros(()))

    @torch.no_grad()
    def update(self, vectors_NC: Tensor, indices_N: Tensor) -> None:
        """Takes in one batch."""
        codebook = self.quantizer[0].embedding.weight
        if not self.started:
            chosen = vectors_NC[torch.randint(len(vectors_NC), (len(codebook),))]
            self.sum_VC.copy_(chosen)
            self.started.fill_(1)
        hits_V = torch.bincount(indices_N, minlength=len(codebook)).float()
        sums_VC = torch.zeros_like(self.sum_VC).index_add_(0, indices_N, vectors_NC)
        self.count_V.lerp_(hits_V, 1 - DECAY)
        self.sum_VC.lerp_(sums_VC, 1 - DECAY)
        dead_V = self.count_V < DEAD
        restart_VC = vectors_NC[torch.randint(len(vectors_NC), (len(codebook),))]
        self.count_V[dead_V] = 1.0
        self.sum_VC[dead_V] = restart_VC[dead_V]
        codebook.copy_(self.sum_VC / self.count_V[:, None])


class MultiScaleStage(ReconstructionStage):
    """Reconstruction through the quantiser, whose codebook moves by itself."""

    def __init__(
        self, tokenizer: MultiScaleTokenizer, data: TrainingSplit, tower: ImageTower, device: torch.device
    ) -> None:
        self.tokenizer = tokenizer
        tokenizer.quantize.embedding.weight.requires_grad_(False)
        super().__init__(tokenizer, data, tower, device, self._reconstruct)
        self.average = CodebookAverage(tokenizer.quantize).to(device)
        self.modules["codebook"] = self.average

    def _reconstruct(self, images: Tensor) -> tuple[Tensor, Tensor]:
        latent = self.tokenizer.latent(images).float()
        with torch.autocast(images.device.type, enabled=False):
            vectors, indices, commitment = [], [], torch.zeros((), device=images.device)
            for vectors_NC, indices_BT, total in self.tokenizer.quantize.encode(latent):
                vectors.append(vectors_NC.detach())
                indices.append(indices_BT.flatten())
                commitment = commitment + F.mse_loss(latent, total.detach()) * COMMITMENT
                commitment = commitment + F.mse_loss(total, latent.detach())
            straight_through = latent + (total - latent).detach()
        output = self.tokenizer.decode(straight_through)
        self.average.update(torch.cat(vectors), torch.cat(indices))
        return output, commitment / len(vectors)


class TransformerStage(Stage):
    """Trains the transformer on codes that were encoded once."""

    name = "transformer"
    batch_size = 32
    averaged = ("transformer",)

    def __init__(
        self,
        transformer: VarTransformer,
        quantizer: MultiScaleQuantizer,
        tokens_NL: Tensor,
        data: TrainingSplit,
        text: TextEncoder,
        device: torch.device,
        images: int,
    ) -> None:
        self.transformer, self.quantizer = transformer.to(device), quantizer
        self.tokens_NL, self.data, self.text, self.device, self.images = tokens_NL, data, text, device, images
        self.modules = {"transformer": transformer}
        self.optimizers = {"adam": torch.optim.AdamW(transformer.parameters(), betas=(0.9, 0.95), weight_decay=0.05)}

    def step(self, step: Step) -> dict[str, Tensor]:
        """One step of next-scale prediction."""
        learning_rate(self.optimizers["adam"], PEAK_LEARNING_RATE, step.progress)
        text_BD = self.text(drop_captions(self.data.prompts(step.indices), step)).pooled_BD
        tokens_BL = self.tokens_NL[torch.from_numpy(step.indices)].long().to(self.device)
        scales = list(tokens_BL.split([side**2 for side in self.quantizer.scales], dim=1))
        with torch.no_grad():
            inputs_BLC = self.quantizer.teacher_inputs(scales)
        with autocast(self.device):
            logits_BLV = self.transformer(self.transformer.condition(text_BD), inputs_BLC)
        loss = F.cross_entropy(logits_BLV.float().flatten(0, 1), tokens_BL.flatten())
        self.optimizers["adam"].zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.transformer.parameters(), 1.0)
        self.optimizers["adam"].step()
        return {"loss": loss}


def train(job: Job) -> None:
    """Trains the whole family and writes ``decoder.safetensors`` and ``transformer.safetensors``.

    What ``generate`` does not run, the encoder, stays among the checkpoints.
    """
    network = network_from(VarNetwork, job.card)
    tokenizer = MultiScaleTokenizer(network)
    stage = MultiScaleStage(tokenizer, job.data, load_image_tower(job.text_folder, job.device), job.device)
    tokenizer.load_state_dict(job.run_tokenizer(stage).weights["tokenizer"])
    tokenizer.eval().requires_grad_(False)

    def encode(images: Tensor) -> Tensor:
        return torch.cat([indices for _, indices, _ in tokenizer.quantize.encode(tokenizer.latent(images))], 1)

    tokens_NL = encode_training_split(job.checkpoints / "tokens.npy", job.data, encode, job.device, quiet=job.quiet)
    job.reseed("transformer")
    transformer = VarTransformer(network.transformer(job.text.width))
    images = job.images - IMAGES
    prior = TransformerStage(transformer, tokenizer.quantize, tokens_NL, job.data, job.text, job.device, images)

    def export(weights: dict[str, dict[str, Tensor]], folder: Path) -> None:
        whole = tokenizer.state_dict()
        encoder = {k: v for k, v in whole.items() if k.startswith(("encoder.", "quant_conv."))}
        job.save(encoder, job.checkpoints / ENCODER)
        job.save({k: v for k, v in whole.items() if k not in encoder}, folder / "decoder.safetensors")
        job.save(weights["transformer"], folder / "transformer.safetensors")

    job.run(prior, export)


def reconstruction(job: Job, card: Card) -> Callable[[Tensor], Tensor]:
    """Returns the tokenizer's encode-and-decode, from the weights as they are stored."""
    tokenizer = MultiScaleTokenizer(network_from(VarNetwork, card))
    whole = load_file(job.checkpoints / ENCODER) | load_file(card.path / "decoder.safetensors")
    tokenizer.load_state_dict(whole)
    return tokenizer.to(job.device).eval()
