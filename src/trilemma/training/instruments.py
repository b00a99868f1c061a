"""Recipes of the instruments of Scenes: factor reader, feature extractor and CLIP, each from its own seed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPConfig, CLIPModel, CLIPVisionConfig

from trilemma.data import scenes
from trilemma.data.scenes_data import ScenesData
from trilemma.families.text import tokenize
from trilemma.features.factor_net import FactorNet, Prediction, read_factors
from trilemma.training.damage import damage
from trilemma.training.loop import Stage, Step, autocast, learning_rate, run_stage
from trilemma.training.split import TrainingSplit
from trilemma.training.text_encoder import build_tokenizer, contrastive_loss, text_config

RECIPES = {"scenes-reader": 11, "scenes-features": 12, "scenes-clip": 13}  # name to seed


class FactorStage(Stage):
    """Trains a :class:`FactorNet` on all factors; on damage too if ``damage_weight`` is above zero."""

    images = 200_000
    batch_size = 128
    averaged = ("net",)

    def __init__(
        self, name: str, device: torch.device, *, damaged: float, strongest: float, damage_weight: float
    ) -> None:
        self.data = TrainingSplit(ScenesData())
        self.name, self.device, self.damaged, self.strongest = name, device, damaged, strongest
        self.damage_weight = damage_weight
        self.net = FactorNet().to(device)
        self.modules = {"net": self.net}
        self.optimizers = {"adam": torch.optim.AdamW(self.net.parameters(), weight_decay=0.02)}

    def step(self, step: Step) -> dict[str, Tensor]:
        """One supervised step."""
        learning_rate(self.optimizers["adam"], 3e-3, step.progress)
        images, kind_B = damage(self.data.pictures(step.indices, self.device), self.damaged, self.strongest)
        known = scenes.factors("train", step.indices)
        with autocast(self.device):
            features = self.net.features(images)
        prediction = self.net.predict(features.float())
        captioned, free = factor_losses(prediction, known)
        loss = captioned + 4 * free + self.damage_weight * F.cross_entropy(prediction.damage_BD, kind_B)
        self.optimizers["adam"].zero_grad()
        loss.backward()
        self.optimizers["adam"].step()
        return {"captioned": captioned, "free": free}


def factor_losses(prediction: Prediction, known: scenes.Factors) -> tuple[Tensor, Tensor]:
    """Returns the cross-entropy of the captioned factors and the squared error of the free ones."""
    device = prediction.logits_BK.device

    def on_device(values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).to(device)

    shape, color, background = on_device(known.shape), on_device(known.color), on_device(known.background)
    targets = zip(prediction.captioned(), (shape, color, background), strict=True)
    captioned = torch.stack([F.cross_entropy(logits, target) for logits, target in targets]).sum()
    linear_B5 = on_device(np.stack([known.x, known.y, known.size, known.tint, known.angle], 1)).float()
    counted_B5 = torch.ones_like(linear_B5)
    counted_B5[:, -1] = on_device(scenes.has_angle(known.shape)).float()
    error_B5 = counted_B5 * (prediction.linear_B5 - linear_B5)
    rows = torch.arange(len(shape), device=device)
    phase = prediction.phase_BP2[rows, background] - _on_circle(on_device(known.phase))
    free = 5 * error_B5.square().mean() + phase.square().mean()
    return captioned, free


def _on_circle(turns_B: Tensor) -> Tensor:
    angle = 2 * torch.pi * turns_B
    return torch.stack([angle.cos(), angle.sin()], 1).float()


class ClipStage(Stage):
    """Trains a small CLIPModel (ViT with patches of 4, two-layer text tower)."""

    name = "clip"
    images = 200_000
    batch_size = 256
    averaged = ("clip",)

    def __init__(self, device: torch.device, width: int = 96) -> None:
        self.data, self.device = TrainingSplit(ScenesData()), device
        self.tokenizer = build_tokenizer(scenes.vocabulary())
        vision = CLIPVisionConfig(
            hidden_size=width, intermediate_size=4 * width, num_hidden_layers=3, num_attention_heads=4,
            image_size=32, patch_size=4, projection_dim=64,
        )  # fmt: skip
        text = text_config(self.tokenizer, 64)
        config = CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=64)
        self.clip = CLIPModel(config).to(device)  # type: ignore[arg-type]
        self.clip.set_attn_implementation("eager")  # on CPUs twice as fast as the fused kernel in bfloat16
        self.modules = {"clip": self.clip}
        self.optimizers = {"adam": torch.optim.AdamW(self.clip.parameters(), betas=(0.9, 0.98), weight_decay=0.05)}

    def step(self, step: Step) -> dict[str, Tensor]:
        """One contrastive step."""
        learning_rate(self.optimizers["adam"], 2e-3, step.progress)
        images, _ = damage(self.data.pictures(step.indices, self.device), 0.3, 0.5)
        ids_BL = tokenize(self.tokenizer, self.data.prompts(step.indices)).to(self.device)
        mode_B = self.data.labels(step.indices, self.device)
        with autocast(self.device):
            output = self.clip(input_ids=ids_BL, pixel_values=images)
        scale = self.clip.logit_scale.clamp(max=4.6)
        loss = contrastive_loss(output.image_embeds.float(), output.text_embeds.float(), scale, mode_B)
        self.optimizers["adam"].zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.clip.parameters(), 1.0)
        self.optimizers["adam"].step()
        return {"loss": loss}


@torch.no_grad()
def held_out_factors(net: FactorNet, device: torch.device, images: int = 4096) -> dict[str, float]:
    """Returns the accuracy of the captioned factors and R² of the free ones on pictures never trained on."""
    net.eval()
    known = scenes.factors("held-out-accuracy", range(images))
    pixels = torch.from_numpy(scenes.render(known)).permute(0, 3, 1, 2).to(device).float() / 127.5 - 1
    read = read_factors(net(pixels))
    right = {name: getattr(read, name) == getattr(known, name) for name in ("shape", "color", "background")}
    result = {name: float(hits.mean()) for name, hits in right.items()}
    result["all_captioned"] = float(np.logical_and.reduce(list(right.values())).mean())
    for name in scenes.FREE:
        rows = scenes.has_angle(known.shape) if name == "angle" else np.ones(images, bool)
        error = getattr(read, name)[rows] - getattr(known, name)[rows]
        if name in scenes.CIRCULAR:
            error = (error + 0.5) % 1 - 0.5
        result[f"r2_{name}"] = float(1 - np.mean(error**2) / np.var(getattr(known, name)[rows]))
    return result


def write_held_out(folder: Path, values: dict[str, float]) -> None:
    """Writes the held-out accuracy beside an instrument's weights."""
    text = json.dumps({name: round(value, 5) for name, value in values.items()}, indent=2)
    (folder / "held_out.json").write_text(text + "\n")


def train(name: str, folder: Path, device: torch.device, *, quiet: bool = False) -> Path:
    """Trains one instrument into ``folder``, with its held-out accuracy beside the weights, and returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(RECIPES[name])
    if name == "scenes-clip":
        clip = ClipStage(device)
        clip.clip.load_state_dict(_weights(clip, folder, RECIPES[name], quiet)["clip"])
        write_held_out(folder, held_out_matching(clip))
        clip.clip.half().save_pretrained(folder)
        clip.tokenizer.save_pretrained(folder)
        return folder
    stage = reader_stage(device) if name == "scenes-reader" else extractor_stage(device)
    weights = _weights(stage, folder, RECIPES[name], quiet)["net"]
    stage.net.load_state_dict(weights)
    write_held_out(folder, held_out_factors(stage.net, device))
    save_file({k: v.half() if v.is_floating_point() else v for k, v in weights.items()}, folder / "model.safetensors")
    return folder


def reader_stage(device: torch.device) -> FactorStage:
    """The factor reader: learns to read through slight damage."""
    return FactorStage("reader", device, damaged=0.3, strongest=0.5, damage_weight=0.0)


def extractor_stage(device: torch.device) -> FactorStage:
    """The feature extractor: learns to tell the kinds of damage apart as well."""
    return FactorStage("features", device, damaged=0.5, strongest=1.0, damage_weight=1.0)


@torch.no_grad()
def held_out_matching(stage: ClipStage, images: int = 2048) -> dict[str, float]:
    """Returns how often a held-out picture is nearest to its own caption among those of all 512 modes."""
    stage.clip.eval()
    known = scenes.factors("held-out-accuracy", range(images))
    everything = [scenes.caption(s, c, b) for s in range(8) for c in range(8) for b in range(8)]
    ids_BL = tokenize(stage.tokenizer, everything).to(stage.device)
    pixels = torch.from_numpy(scenes.render(known)).permute(0, 3, 1, 2).to(stage.device).float() / 127.5 - 1
    output = stage.clip(input_ids=ids_BL, pixel_values=pixels)
    nearest = (output.image_embeds @ output.text_embeds.T).argmax(1).cpu().numpy()
    return {"nearest_of_512_captions": float((nearest == known.mode).mean())}


def _weights(stage: Stage, folder: Path, seed: int, quiet: bool) -> dict[str, dict[str, Tensor]]:
    return run_stage(stage, folder / "checkpoints", seed=seed, quiet=quiet).weights
