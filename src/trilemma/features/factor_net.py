"""The network behind the factor reader and the feature extractor of Scenes: a small timm ResNet and a linear neck.

The same architecture is trained twice, with other seeds: once as the *reader* of factors, once as the *extractor*,
which learns to tell damaged pictures from clean ones as well, so that its features see blur and grain.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from trilemma.data import scenes

FEATURES = 128
DAMAGES = 6
_CAPTIONED = (len(scenes.SHAPES), len(scenes.COLORS), len(scenes.BACKGROUNDS))
_LINEAR = ("x", "y", "size", "tint", "angle")


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What the network says of B pictures.

    ``logits_BK``: shape, colour and background one after the other (K = 24). ``linear_B5``: x, y, size, tint and angle.
    ``phase_BP2``: cosine and sine of the phase for each background.
    ``damage_BD``: logits of the kind of damage.
    """

    logits_BK: Tensor
    linear_B5: Tensor
    phase_BP2: Tensor
    damage_BD: Tensor

    def captioned(self) -> tuple[Tensor, Tensor, Tensor]:
        """The logits of shape, colour and background."""
        shape, color, background = self.logits_BK.split(_CAPTIONED, dim=1)
        return shape, color, background


class FactorNet(nn.Module):
    """uint8 pictures 32x32 to 128 features and to factors."""

    def __init__(self) -> None:
        super().__init__()
        import timm

        self.backbone = timm.create_model(
            "resnet18", layers=(1, 1, 1, 1), channels=(32, 64, 96, 128), stem_width=32, num_classes=0, global_pool=""
        )
        self.backbone.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.backbone.maxpool = nn.Identity()
        self.reduce = nn.Conv2d(128, 32, 1)
        self.neck = nn.Linear(32 * 16, FEATURES)
        self.sizes = (sum(_CAPTIONED), len(_LINEAR), 2 * _CAPTIONED[2], DAMAGES)
        self.heads = nn.Linear(FEATURES, sum(self.sizes))

    def features(self, images_B3HW: Tensor) -> Tensor:
        """Returns float32 ``(B, 128)`` of images in [-1, 1]."""
        maps = F.adaptive_avg_pool2d(self.reduce(self.backbone(images_B3HW)), 4)
        features: Tensor = self.neck(maps.flatten(1))
        return features

    def predict(self, features_BN: Tensor) -> Prediction:
        """Reads the factors off the features."""
        logits, linear, phase, damage = self.heads(F.silu(features_BN)).split(self.sizes, dim=1)
        return Prediction(
            logits_BK=logits, linear_B5=linear, phase_BP2=phase.unflatten(1, (-1, 2)), damage_BD=damage
        )  # fmt: skip

    def forward(self, images_B3HW: Tensor) -> Prediction:
        """Reads the factors off images in [-1, 1]."""
        return self.predict(self.features(images_B3HW))


def load_factor_net(folder: Path) -> FactorNet:
    """Returns the frozen network whose ``model.safetensors`` lies in ``folder``."""
    net = FactorNet()
    net.load_state_dict(load_file(folder / "model.safetensors"))
    return net.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # on CPUs a fifth faster


def read_factors(prediction: Prediction) -> scenes.Factors:
    """Returns the likeliest captioned factors, and the free factors given those."""
    shape, color, background = (logits.argmax(1) for logits in prediction.captioned())
    rows = torch.arange(len(shape), device=shape.device)
    linear = {
        name: column.double().clamp(0, 1).cpu().numpy()
        for name, column in zip(_LINEAR, prediction.linear_B5.unbind(1), strict=True)
    }
    return scenes.Factors(
        shape=shape.cpu().numpy(), color=color.cpu().numpy(), background=background.cpu().numpy(),
        phase=_turns(prediction.phase_BP2[rows, background]), **linear,
    )  # fmt: skip


def _turns(cosine_sine_B2: Tensor) -> NDArray[np.float64]:
    turns = torch.atan2(cosine_sine_B2[:, 1].double(), cosine_sine_B2[:, 0].double()) / (2 * torch.pi) % 1.0
    values: NDArray[np.float64] = turns.cpu().numpy()
    return values
