"""DINOv2 vision transformers from their authors' files, at the size that dgm-eval feeds them.

Source: Oquab et al., arXiv 2304.07193, https://github.com/facebookresearch/dinov2. The network is timm's. The file's
position embeddings are for 37x37 patches; how they are interpolated changes every feature, and timm (anti-aliased, by
size) differs from the authors (not anti-aliased, by a factor with an offset of 0.1), whose way this is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trilemma.errors import UserError

HEAD_WIDTH = 64
OFFSET = 0.1


class DINOv2(nn.Module):
    """Pixels ``(B, 3, size, size)``, ImageNet-normalised, to the class token after the last norm."""

    def __init__(self, tensors: Mapping[str, Tensor], size: int) -> None:
        """Takes its shape from its weights: heads are 64 wide in every published model."""
        super().__init__()
        from timm.models.vision_transformer import VisionTransformer

        self.width, _, patch, _ = tensors["patch_embed.proj.weight"].shape
        with torch.device("meta"):
            self.network = VisionTransformer(
                img_size=size, patch_size=patch, embed_dim=self.width, num_heads=self.width // HEAD_WIDTH,
                depth=1 + max(int(name.split(".")[1]) for name in tensors if name.startswith("blocks.")),
                mlp_ratio=tensors["blocks.0.mlp.fc1.weight"].shape[0] / self.width, init_values=1.0, num_classes=0,
            )  # fmt: skip
        kept = {name: tensor for name, tensor in tensors.items() if name != "mask_token"}  # of the training alone
        kept["pos_embed"] = interpolate_positions(tensors["pos_embed"], size // patch)
        self.network.load_state_dict(kept, assign=True)

    def forward(self, pixels_B3HW: Tensor) -> dict[str, Tensor]:
        """Returns ``features`` (B, width)."""
        return {"features": self.network(pixels_B3HW)}


def dinov2_from(tensors: Mapping[str, Tensor], size: int, where: Path) -> DINOv2:
    """Returns the frozen network; raises UserError where the tensors are not those of a DINOv2."""
    try:
        return DINOv2(tensors, size).eval().requires_grad_(False)
    except (KeyError, ValueError, RuntimeError) as error:
        raise UserError("these are not the weights of a DINOv2 vision transformer.", where=str(where)) from error


def interpolate_positions(positions_1TD: Tensor, grid: int) -> Tensor:
    """Returns position embeddings ``(1, 1 + grid², D)`` of ``(1, 1 + M², D)``; the class token's stays.

    Source: ``interpolate_pos_encoding`` of the authors' vision_transformer.py.
    """
    trained = round((positions_1TD.shape[1] - 1) ** 0.5)
    if trained == grid:
        return positions_1TD
    patches = positions_1TD[:, 1:].float().unflatten(1, (trained, trained)).permute(0, 3, 1, 2)
    factor = (grid + OFFSET) / trained
    resized = F.interpolate(patches, scale_factor=(factor, factor), mode="bicubic", antialias=False)
    return torch.cat([positions_1TD[:, :1].float(), resized.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)
