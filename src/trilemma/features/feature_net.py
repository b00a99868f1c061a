"""The network behind the suite's own instruments for 32x32 pictures: a small timm ResNet and a linear neck."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FEATURES = 128
DAMAGES = 6  # kinds that an extractor learns to tell apart, "none" among them


class FeatureNet(nn.Module):
    """Pictures 32x32 to 128 features, and to ``outputs`` numbers that are read off them."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        import timm

        self.backbone = timm.create_model(
            "resnet18", layers=(1, 1, 1, 1), channels=(32, 64, 96, 128), stem_width=32, num_classes=0, global_pool=""
        )
        self.backbone.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.backbone.maxpool = nn.Identity()
        self.reduce = nn.Conv2d(128, 32, 1)
        self.neck = nn.Linear(32 * 16, FEATURES)
        self.heads = nn.Linear(FEATURES, outputs)

    def features(self, images_B3HW: Tensor) -> Tensor:
        """Returns float32 ``(B, 128)`` of images in [-1, 1]."""
        maps = F.adaptive_avg_pool2d(self.reduce(self.backbone(images_B3HW)), 4)
        features: Tensor = self.neck(maps.flatten(1))
        return features

    def read(self, features_BN: Tensor) -> Tensor:
        """Returns ``(B, outputs)``."""
        outputs: Tensor = self.heads(F.silu(features_BN))
        return outputs


def frozen(net: FeatureNet, weights: dict[str, Tensor]) -> None:
    """Loads weights into a network that is not trained any further."""
    net.load_state_dict(weights)
    net.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # on CPUs a fifth faster
