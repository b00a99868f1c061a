"""The network of the factor reader and of the feature extractor of Scenes.

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
from torch import Tensor

from trilemma.data import scenes
from trilemma.features.feature_net import DAMAGES, FeatureNet, frozen

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


class FactorNet(FeatureNet):
    """Pictures 32x32 to 128 features and to factors."""

    sizes = (sum(_CAPTIONED), len(_LINEAR), 2 * _CAPTIONED[2], DAMAGES)

    def __init__(self) -> None:
        super().__init__(sum(self.sizes))

    def predict(self, features_BN: Tensor) -> Prediction:
        """Reads the factors off the features."""
        logits, linear, phase, damage = self.read(features_BN).split(self.sizes, dim=1)
        return Prediction(
            logits_BK=logits, linear_B5=linear, phase_BP2=phase.unflatten(1, (-1, 2)), damage_BD=damage
        )  # fmt: skip

    def forward(self, images_B3HW: Tensor) -> Prediction:
        """Reads the factors off images in [-1, 1]."""
        return self.predict(self.features(images_B3HW))


def load_factor_net(folder: Path) -> FactorNet:
    """Returns the frozen network whose ``model.safetensors`` lies in ``folder``."""
    net = FactorNet()
    frozen(net, load_file(folder / "model.safetensors"))
    return net


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
