"""Recipe of the frozen text encoder: contrastive against a small image tower (CLIP, arXiv 2103.00020, §2).

Two pictures of one class (of Scenes: one mode) have captions that mean the same, so the targets are spread over all
pairs of equal class (supervised contrastive, arXiv 2004.11362). The image tower is kept for the perceptual loss of the
tokenizers; it is no part of any instrument that scores.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from trilemma.families.text import tokenize
from trilemma.training.loop import Stage, Step, autocast, learning_rate, run_stage
from trilemma.training.split import TrainingSplit

START, END = "<|startoftext|>", "<|endoftext|>"
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789,."
LENGTH = 16
SEED = 7


def build_tokenizer(words: Sequence[str]) -> CLIPTokenizer:
    """Returns a CLIP tokenizer whose byte-pair merges make one token of every word; punctuation cuts words."""
    bpe = Tokenizer(models.BPE(end_of_word_suffix="</w>", continuing_subword_prefix="", unk_token=END))
    bpe.pre_tokenizer = pre_tokenizers.Whitespace()
    letters = list(LETTERS + "".join(sorted(set("".join(words)) - set(LETTERS))))
    trainer = trainers.BpeTrainer(
        vocab_size=1000, min_frequency=1, initial_alphabet=letters, end_of_word_suffix="</w>", show_progress=False,
        special_tokens=[f"{letter}</w>" for letter in letters],  # else their order changes from process to process
    )  # fmt: skip
    bpe.train_from_iterator([" ".join([*words, *letters])], trainer)
    model = json.loads(bpe.to_str())["model"]
    tokens = [*model["vocab"], START, END]
    merges = [tuple(pair) for pair in model["merges"]]
    return CLIPTokenizer(
        vocab={token: index for index, token in enumerate(tokens)},
        merges=merges,  # type: ignore[arg-type] # pairs, as its own tokenizer.json holds them
        model_max_length=LENGTH, bos_token=START, eos_token=END, pad_token=END, unk_token=END,
    )  # fmt: skip


def text_config(tokenizer: CLIPTokenizer, width: int) -> CLIPTextConfig:
    """Returns a two-layer text tower of ``width`` channels."""
    return CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=4 * width, projection_dim=width,
        num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=LENGTH,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip


class ImageTower(nn.Module):
    """A small convolutional network; :meth:`stages` gives the maps that the perceptual loss compares."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        channels = (3, 32, 64, 96, 128)
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=1 if i == 0 else 2, padding=1)
            for i, (a, b) in enumerate(zip(channels, channels[1:], strict=False))
        )
        self.norms = nn.ModuleList(nn.GroupNorm(8, c) for c in channels[1:])
        self.project = nn.Linear(128 * 16, width)

    def stages(self, images_B3HW: Tensor) -> list[Tensor]:
        """Returns the four feature maps of images in [-1, 1]."""
        maps, x = [], images_B3HW
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = F.silu(norm(conv(x)))
            maps.append(x)
        return maps

    def embed(self, last_map: Tensor) -> Tensor:
        """Returns ``(B, width)`` of the last of the feature maps, not normalised."""
        embedding: Tensor = self.project(F.adaptive_avg_pool2d(last_map, 4).flatten(1))
        return embedding

    def forward(self, images_B3HW: Tensor) -> Tensor:
        """Returns ``(B, width)``, not normalised."""
        return self.embed(self.stages(images_B3HW)[-1])


def contrastive_loss(image_BD: Tensor, text_BD: Tensor, log_scale: Tensor, label_B: Tensor) -> Tensor:
    """The symmetric cross-entropy of CLIP with the target mass shared by all pairs of equal class."""
    logits_BB = log_scale.exp() * F.normalize(image_BD, dim=-1) @ F.normalize(text_BD, dim=-1).T
    same_BB = (label_B[:, None] == label_B[None, :]).float()
    target_BB = same_BB / same_BB.sum(1, keepdim=True)
    return 0.5 * (F.cross_entropy(logits_BB, target_BB) + F.cross_entropy(logits_BB.T, target_BB))


class TextEncoderStage(Stage):
    """Trains text tower, image tower and temperature together."""

    name = "text_encoder"
    images = 120_000
    batch_size = 256
    averaged = ("text", "image")

    def __init__(self, data: TrainingSplit, device: torch.device, width: int = 64) -> None:
        self.data, self.device = data, device
        self.tokenizer = build_tokenizer(data.source.vocabulary())
        self.text = CLIPTextModel(text_config(self.tokenizer, width)).to(device)  # type: ignore[arg-type]
        self.image = ImageTower(width).to(device)
        self.scale = nn.ParameterList([nn.Parameter(torch.tensor(2.0))]).to(device)
        self.modules = {"text": self.text, "image": self.image, "scale": self.scale}
        parameters = [p for module in self.modules.values() for p in module.parameters()]
        self.optimizers = {"adam": torch.optim.AdamW(parameters, weight_decay=0.01)}

    def step(self, step: Step) -> dict[str, Tensor]:
        """One contrastive step."""
        learning_rate(self.optimizers["adam"], 2e-3, step.progress)
        ids_BL = tokenize(self.tokenizer, self.data.prompts(step.indices)).to(self.device)
        label_B = self.data.labels(step.indices, self.device)
        with autocast(self.device):
            text_BD = self.text(input_ids=ids_BL).pooler_output
            image_BD = self.image(self.data.pictures(step.indices, self.device))
        loss = contrastive_loss(image_BD.float(), text_BD.float(), self.scale[0].clamp(max=4.6), label_B)
        self.optimizers["adam"].zero_grad()
        loss.backward()
        self.optimizers["adam"].step()
        return {"loss": loss}


def export(stage: TextEncoderStage, weights: dict[str, dict[str, Tensor]], folder: Path) -> None:
    """Writes ``text_encoder/``, ``tokenizer/`` and ``image_tower.safetensors`` in float16."""
    from safetensors.torch import save_file

    stage.text.load_state_dict(weights["text"])
    stage.text.half().save_pretrained(folder / "text_encoder")
    _open_in_float32(folder / "text_encoder" / "config.json")
    stage.tokenizer.save_pretrained(folder / "tokenizer")
    save_file(
        {name: value.half().contiguous() for name, value in weights["image"].items()},
        folder / "image_tower.safetensors",
    )


def _open_in_float32(config: Path) -> None:
    """Says so in the configuration: left to itself, transformers opens a model in the dtype that it is stored in."""
    config.write_text(json.dumps(json.loads(config.read_text()) | {"dtype": "float32"}, indent=2) + "\n")


def train(folder: Path, data: TrainingSplit, device: torch.device, *, quiet: bool = False) -> Path:
    """Trains the text encoder into ``folder`` and returns it."""
    torch.manual_seed(SEED)
    stage = TextEncoderStage(data, device)
    export(stage, run_stage(stage, folder / "checkpoints", seed=SEED, quiet=quiet).weights, folder)
    return folder
