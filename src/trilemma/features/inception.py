"""TF-Inception: the graph of 2015-12-05 as torch-fidelity ports it, with every array that a metric reads.

The blocks are torch-fidelity's, with its corrections of pooling; the way through them is ours, because its own takes
"float64" for float32, resizes on the inside, and does not give ADM's spatial features.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trilemma.errors import UserError
from trilemma.features.precision import full_precision
from trilemma.features.preprocessing import resize_tensorflow1
from trilemma.features.weights import read_tensors

SPATIAL_CHANNELS = 7


class TFInception(nn.Sequential):
    """Pixels ``(B, 3, 299, 299)`` in [-1, 1) to the pooled features, logits and spatial features.

    The names of the parts are those of torch-fidelity's state dict.
    """

    width = 2048
    fc: nn.Linear

    def __init__(self) -> None:
        super().__init__(_layers())

    def forward(self, pixels_B3HW: Tensor) -> dict[str, Tensor]:
        """Returns the arrays by name.

        ``features`` (B, 2048): pool_3. ``logits`` (B, 1008): without the bias, as every Inception score is computed.
        ``spatial`` (B, 2023): the first 7 channels of mixed_6/conv at 17x17 positions, channels last, as ADM's
        reference statistics have them.
        """
        maps = pixels_B3HW
        for name, layer in self.named_children():
            if name == "fc":
                break
            maps = layer(maps)
            if name == "Mixed_6d":  # its first branch is mixed_6/conv
                spatial = maps[:, :SPATIAL_CHANNELS].permute(0, 2, 3, 1).flatten(1)
        features = maps.flatten(1)
        return {"features": features, "logits": features @ self.fc.weight.T, "spatial": spatial}


def inception_from(tensors: Mapping[str, Tensor], where: Path) -> TFInception:
    """Returns the frozen network with the tensors of torch-fidelity's file; raises UserError where they do not fit."""
    with torch.device("meta"):  # no time and no random number is spent on weights that are replaced
        network = TFInception()
    try:
        network.load_state_dict(dict(tensors), assign=True)
    except RuntimeError as error:
        raise UserError("these are not the weights of TF-Inception.", where=str(where)) from error
    return network.eval().requires_grad_(False)


class Inception:
    """The same network for the instruments of a run: uint8 images on a device, in TensorFlow's resize."""

    def __init__(self, path: Path) -> None:
        self.network = inception_from(read_tensors(path), path)

    def to(self, device: torch.device) -> Inception:
        """Moves the network."""
        self.network.to(device)
        return self

    @torch.no_grad()
    def measure(self, images: Tensor) -> dict[str, NDArray[Any]]:
        """Returns float32 ``inception`` (B, 2048) and ``inception_logits`` (B, 1008) of uint8 ``(B, 3, H, W)``."""
        with full_precision():
            outputs = self.network((resize_tensorflow1(images.float(), 299) - 128) / 128)
        return {"inception": outputs["features"].cpu().numpy(), "inception_logits": outputs["logits"].cpu().numpy()}


def _layers() -> OrderedDict[str, nn.Module]:
    from torch_fidelity import feature_extractor_inceptionv3 as port

    return OrderedDict(
        Conv2d_1a_3x3=port.BasicConv2d(3, 32, kernel_size=3, stride=2),
        Conv2d_2a_3x3=port.BasicConv2d(32, 32, kernel_size=3),
        Conv2d_2b_3x3=port.BasicConv2d(32, 64, kernel_size=3, padding=1),
        MaxPool_1=nn.MaxPool2d(3, stride=2),
        Conv2d_3b_1x1=port.BasicConv2d(64, 80, kernel_size=1),
        Conv2d_4a_3x3=port.BasicConv2d(80, 192, kernel_size=3),
        MaxPool_2=nn.MaxPool2d(3, stride=2),
        Mixed_5b=port.InceptionA(192, pool_features=32),
        Mixed_5c=port.InceptionA(256, pool_features=64),
        Mixed_5d=port.InceptionA(288, pool_features=64),
        Mixed_6a=port.InceptionB(288),
        Mixed_6b=port.InceptionC(768, channels_7x7=128),
        Mixed_6c=port.InceptionC(768, channels_7x7=160),
        Mixed_6d=port.InceptionC(768, channels_7x7=160),
        Mixed_6e=port.InceptionC(768, channels_7x7=192),
        Mixed_7a=port.InceptionD(768),
        Mixed_7b=port.InceptionE_1(1280),
        Mixed_7c=port.InceptionE_2(2048),
        AvgPool=nn.AdaptiveAvgPool2d(1),
        fc=nn.Linear(2048, 1008),
    )
