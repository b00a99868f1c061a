"""The feature extractor of a data set with classes: what Scenes' extractor is, where no factors are known.

It learns the classes, and the kinds of damage done to pictures, or it would be blind to blur and grain. Classes alone
would also make it blind to what varies within them, so that it learns to tell the picture's 8x8 averages as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor

from trilemma.features.feature_net import DAMAGES, FeatureNet, frozen

THUMBNAIL = 8


@dataclass(frozen=True, kw_only=True)
class ClassPrediction:
    """What the network says of B pictures.

    ``logits_BK``: of the classes. ``damage_BD``: of the kind of damage. ``thumbnail_BP``: the 8x8 averages of the
    undamaged picture's luminance, in [-1, 1], row by row.
    """

    logits_BK: Tensor
    damage_BD: Tensor
    thumbnail_BP: Tensor


class ClassNet(FeatureNet):
    """Pictures 32x32 to 128 features, and to classes, damage and thumbnails."""

    def __init__(self, classes: int) -> None:
        super().__init__(classes + DAMAGES + THUMBNAIL**2)
        self.sizes = (classes, DAMAGES, THUMBNAIL**2)

    def predict(self, features_BN: Tensor) -> ClassPrediction:
        """Reads the features."""
        logits, damage, thumbnail = self.read(features_BN).split(self.sizes, dim=1)
        return ClassPrediction(logits_BK=logits, damage_BD=damage, thumbnail_BP=thumbnail)

    def forward(self, images_B3HW: Tensor) -> ClassPrediction:
        """Reads images in [-1, 1]."""
        return self.predict(self.features(images_B3HW))


def load_class_net(folder: Path) -> ClassNet:
    """Returns the frozen network whose ``model.safetensors`` lies in ``folder``."""
    weights = load_file(folder / "model.safetensors")
    net = ClassNet(len(weights["heads.bias"]) - DAMAGES - THUMBNAIL**2)
    frozen(net, weights)
    return net
