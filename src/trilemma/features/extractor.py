"""A recipe with its weights loaded: uint8 images in, arrays out, and an identity that says everything in between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from trilemma.errors import UserError
from trilemma.features.precision import full_precision
from trilemma.features.preprocessing import Pixels, prepare
from trilemma.features.recipe import TARGET, DType, Recipe
from trilemma.features.weights import locate, read_tensors
from trilemma.plugins import imported


class Extractor:
    """A frozen network behind its preprocessing.

    Attributes:
        identity: everything that changes the features, as plain data.
        width: of a row of ``features``.
    """

    def __init__(self, recipe: Recipe, network: nn.Module, sha256: Mapping[str, str], device: str = "cpu") -> None:
        """Takes a network that maps prepared pixels to named arrays, and the sha256 of the files it was made of."""
        self.recipe = recipe
        self.identity: dict[str, Any] = recipe.identity(sha256)
        self.width = int(network.width)  # type: ignore[arg-type]
        self.device = torch.device(device)
        self.network = network.to(self.device, getattr(torch, recipe.dtype)).eval().requires_grad_(False)

    @torch.inference_mode()
    def batch(self, images: Sequence[Pixels]) -> dict[str, NDArray[Any]]:
        """Measures B images, uint8 ``(H, W, 3)`` each, of one size or of several (a ``(B, H, W, 3)`` array will do).

        Returns:
            One array ``(B, width)`` for each of the recipe's outputs: float32, or float64 where that was asked for.

        Raises:
            UserError: an image is not uint8 RGB, is of a size that the recipe cannot take, or gives NaN or infinity.
        """
        with full_precision():
            outputs = self.network(prepare(images, self.recipe, self.device))
            return {name: self._array(name, outputs[name]) for name in self.recipe.outputs}

    @torch.inference_mode()
    def texts(self, prompts: Sequence[str]) -> NDArray[Any]:
        """Returns ``(B, width)``: the features of prompts, in the space of the images' ``features``.

        Raises:
            UserError: this extractor has no text tower.
        """
        if getattr(self.network, "tokenizer", None) is None:
            raise UserError(f'the extractor "{self.recipe.network}" of this preset reads images, and no text.')
        with full_precision():
            return self._array("features", self.network.texts(prompts))  # type: ignore[operator]

    def _array(self, name: str, values_BD: Tensor) -> NDArray[Any]:
        if name == "features" and self.recipe.unit_length:
            values_BD = F.normalize(values_BD, dim=1)
        array: NDArray[Any] = values_BD.cpu().numpy()
        if not np.isfinite(array).all():
            raise UserError(f"the {name} of an image are not finite: are the weights those of the network?")
        return array


def load_extractor(
    recipe: Recipe, device: str = "cpu", *, dtype: DType | None = None, download: bool = False
) -> Extractor:
    """Returns the extractor of a recipe.

    Args:
        recipe: such as ``preset("fid").recipe``.
        device: as torch names it.
        dtype: another than the recipe's; it becomes part of the identity. Without a network nothing is computed in it.
        download: fetch weights that are missing.

    Raises:
        UserError: weights are missing (the message says how to get them), damaged, or not the published ones.
    """
    recipe = recipe if dtype is None or not recipe.files else replace(recipe, dtype=dtype)
    located = {file.name: locate(file, download=download) for file in recipe.files}
    network = _network(recipe, [found.path for found in located.values()])
    return Extractor(recipe, network, {name: found.sha256 for name, found in located.items()}, device)


def _network(recipe: Recipe, paths: list[Path]) -> nn.Module:
    """Builds the network of a recipe; each kind imports what it alone needs."""
    size = recipe.resize.size if recipe.resize else 0
    if recipe.network == "grey-levels":
        from trilemma.features.grey_levels import GreyLevels

        return GreyLevels(size)
    if TARGET in recipe.network:
        built: nn.Module = imported(recipe.network)(paths, size)
        return built
    weights, *others = paths
    if recipe.network == "tf-inception":
        from trilemma.features.inception import inception_from

        return inception_from(read_tensors(weights), weights)
    if recipe.network == "dinov2":
        from trilemma.features.dinov2 import dinov2_from

        return dinov2_from(read_tensors(weights), size, weights)
    if recipe.network == "clip":
        from trilemma.features.clip import clip_from

        return clip_from(read_tensors(weights), others[0] if others else None, weights)
    if recipe.network == "class-net":
        from trilemma.features.class_features import ClassFeatures

        return ClassFeatures(weights.parent)
    from trilemma.features.scenes_features import ScenesFeatures

    return ScenesFeatures(weights.parent)
