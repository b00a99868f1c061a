"""Recipe of the VQ autoregressive model: the tokenizer by reconstruction, then the prior by next-token prediction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from trilemma.card import Card
from trilemma.families.text import TextEncoder
from trilemma.families.vqar import Prior, Tokenizer, VqarNetwork
from trilemma.families.weights import network_from
from trilemma.training.captions import drop_captions
from trilemma.training.job import Job
from trilemma.training.loop import Stage, Step, autocast, learning_rate
from trilemma.training.reconstruction import IMAGES, ReconstructionStage, load_image_tower
from trilemma.training.split import TrainingSplit
from trilemma.training.token_cache import encode_training_split

PEAK_LEARNING_RATE = 1.5e-3
ENCODER = "encoder.safetensors"


class PriorStage(Stage):
    """Trains the GPT on tokens that were encoded once."""

    name = "prior"
    batch_size = 32
    averaged = ("prior",)

    def __init__(
        self,
        prior: Prior,
        tokens_NT: Tensor,
        data: TrainingSplit,
        text: TextEncoder,
        device: torch.device,
        images: int,
    ) -> None:
        self.prior, self.tokens_NT, self.data = prior.to(device), tokens_NT, data
        self.text, self.device, self.images = text, device, images
        self.modules = {"prior": prior}
        self.optimizers = {"adam": torch.optim.AdamW(prior.parameters(), betas=(0.9, 0.95), weight_decay=0.05)}

    def step(self, step: Step) -> dict[str, Tensor]:
        """One step of next-token prediction."""
        learning_rate(self.optimizers["adam"], PEAK_LEARNING_RATE, step.progress)
        text_BD = self.text(drop_captions(self.data.prompts(step.indices), step)).pooled_BD
        tokens_BT = self.tokens_NT[torch.from_numpy(step.indices)].long().to(self.device)
        with autocast(self.device):
            logits_BTV = self.prior(text_BD, tokens_BT[:, :-1])
        loss = F.cross_entropy(logits_BTV.float().flatten(0, 1), tokens_BT.flatten())
        self.optimizers["adam"].zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.prior.parameters(), 1.0)
        self.optimizers["adam"].step()
        return {"loss": loss}


def train(job: Job) -> None:
    """Trains the whole family and writes ``decoder.safetensors`` and ``prior.safetensors``.

    What ``generate`` does not run, the encoder, stays among the checkpoints.
    """
    network = network_from(VqarNetwork, job.card)
    tokenizer = Tokenizer(network)
    tower = load_image_tower(job.text_folder, job.device)
    stage = ReconstructionStage(
        tokenizer, job.data, tower, job.device, lambda x: (tokenizer(x), torch.zeros((), device=x.device))
    )
    tokenizer.load_state_dict(job.run_tokenizer(stage).weights["tokenizer"])
    tokenizer.eval().requires_grad_(False)
    tokens_NT = encode_training_split(
        job.checkpoints / "tokens.npy",
        job.data,
        lambda images: tokenizer.quantize.indices(tokenizer.encode(images)).flatten(1),
        job.device,
        quiet=job.quiet,
    )
    job.reseed("prior")
    prior = PriorStage(Prior(network, job.text.width), tokens_NT, job.data, job.text, job.device, job.images - IMAGES)

    def export(weights: dict[str, dict[str, Tensor]], folder: Path) -> None:
        whole = tokenizer.state_dict()
        decoder = {k: v for k, v in whole.items() if k.startswith(("decoder.", "post_quant_conv."))}
        job.save({k: v for k, v in whole.items() if k not in decoder}, job.checkpoints / ENCODER)
        job.save(decoder, folder / "decoder.safetensors")
        job.save(
            {k: v for k, v in weights["prior"].items() if not k.endswith("attn.mask")}, folder / "prior.safetensors"
        )

    job.run(prior, export)


def reconstruction(job: Job, card: Card) -> Callable[[Tensor], Tensor]:
    """Returns the tokenizer's encode-and-decode, from the weights as they are stored."""
    tokenizer = Tokenizer(network_from(VqarNetwork, card))
    whole = load_file(job.checkpoints / ENCODER) | load_file(card.path / "decoder.safetensors")
    tokenizer.load_state_dict(whole)
    return tokenizer.to(job.device).eval()
