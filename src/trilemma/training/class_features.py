"""Recipe of the feature extractor of Fashion-MNIST, from its own seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from trilemma.data.mnist import MnistData, open_fashion_mnist
from trilemma.features.class_net import THUMBNAIL, ClassNet
from trilemma.training.damage import damage
from trilemma.training.instruments import write_held_out
from trilemma.training.loop import Stage, Step, autocast, learning_rate, run_stage
from trilemma.training.split import TrainingSplit

NAME = "fashion-mnist-features"
SEED = 14
DAMAGED = 0.5
THUMBNAIL_WEIGHT = 4.0
HELD_OUT = "test"
_BATCH = 500


class ClassStage(Stage):
    """Trains a :class:`ClassNet` on classes, damage and thumbnails."""

    name = "features"
    images = 200_000
    batch_size = 128
    averaged = ("net",)

    def __init__(self, source: MnistData, device: torch.device) -> None:
        self.data, self.device = TrainingSplit(source), device
        self.net = ClassNet(len(source.classes)).to(device)
        self.modules = {"net": self.net}
        self.optimizers = {"adam": torch.optim.AdamW(self.net.parameters(), weight_decay=0.02)}

    def step(self, step: Step) -> dict[str, Tensor]:
        """One supervised step."""
        learning_rate(self.optimizers["adam"], 3e-3, step.progress)
        clean = self.data.pictures(step.indices, self.device)
        images, kind_B = damage(clean, DAMAGED)
        with autocast(self.device):
            features = self.net.features(images)
        prediction = self.net.predict(features.float())
        label = F.cross_entropy(prediction.logits_BK, self.data.labels(step.indices, self.device))
        kind = F.cross_entropy(prediction.damage_BD, kind_B)
        thumbnail = F.mse_loss(prediction.thumbnail_BP, thumbnails(clean))
        self.optimizers["adam"].zero_grad()
        (label + kind + THUMBNAIL_WEIGHT * thumbnail).backward()
        self.optimizers["adam"].step()
        return {"label": label, "damage": kind, "thumbnail": thumbnail}


def thumbnails(images_B3HW: Tensor) -> Tensor:
    """Returns the 8x8 averages over area and channels, ``(B, 64)``."""
    return F.adaptive_avg_pool2d(images_B3HW.mean(1, keepdim=True), THUMBNAIL).flatten(1)


@torch.no_grad()
def held_out(net: ClassNet, source: MnistData, device: torch.device) -> dict[str, float]:
    """Returns how well the network reads the published test split.

    ``class``: accuracy on clean pictures. ``damage``: accuracy of its kind, half of the pictures being damaged.
    ``r2_thumbnail``: R² of the 8x8 averages of clean pictures.
    """
    net.eval()
    pixels_N3HW = torch.from_numpy(source.images(HELD_OUT, range(source.count(HELD_OUT)))).permute(0, 3, 1, 2)
    labels_N = torch.from_numpy(source.labels(HELD_OUT, range(source.count(HELD_OUT)))).to(device)
    rows: list[Tensor] = []
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(SEED)
        for part, label_B in zip(pixels_N3HW.split(_BATCH), labels_N.split(_BATCH), strict=True):
            clean = part.to(device).float() / 127.5 - 1
            images, kind_B = damage(clean, DAMAGED)
            said, of_damaged = net(clean), net(images)
            right = torch.stack([said.logits_BK.argmax(1) == label_B, of_damaged.damage_BD.argmax(1) == kind_B], 1)
            rows.append(torch.cat([right.float(), said.thumbnail_BP, thumbnails(clean)], 1))
    measured = torch.cat(rows).double().cpu().numpy()
    told, true = np.split(measured[:, 2:], 2, axis=1)
    r2 = 1 - np.square(told - true).sum() / np.square(true - true.mean(0)).sum()
    return {"class": float(measured[:, 0].mean()), "damage": float(measured[:, 1].mean()), "r2_thumbnail": float(r2)}


def train(folder: Path, device: torch.device, *, quiet: bool = False, download: bool = False) -> Path:
    """Trains the extractor into ``folder``, with its held-out accuracy beside the weights, and returns the folder."""
    torch.manual_seed(SEED)
    source = open_fashion_mnist(download)
    stage = ClassStage(source, device)
    weights = run_stage(stage, folder / "checkpoints", seed=SEED, quiet=quiet).weights["net"]
    stage.net.load_state_dict(weights)
    write_held_out(folder, held_out(stage.net, source, device))
    save_file({k: v.half() if v.is_floating_point() else v for k, v in weights.items()}, folder / "model.safetensors")
    return folder
