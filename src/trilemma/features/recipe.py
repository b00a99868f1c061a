"""What features are made with, down to the last thing that changes them: a recipe, and the identity it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal, get_args

from trilemma.errors import UserError, suggest
from trilemma.features.weights import WeightsFile

DType = Literal["float32", "float64"]
Network = Literal["tf-inception", "dinov2", "clip", "factor-net", "class-net", "grey-levels"]
TARGET = ":"
"""What tells a plug-in's network, ``package.module:function``, from one of the suite's own."""
Fit = Literal["stretch", "shortest-side", "centre-square"]


@dataclass(frozen=True, kw_only=True)
class Resize:
    """How an image of any size becomes a square.

    Attributes:
        size: of the square.
        kernel: of the interpolation; "area" averages over the cells of a grid.
        implementation: "tensorflow1" takes pixel corners for pixel centres, as the graph of 2015 does; "torch" is its
            interpolation between pixel centres; "exact" sums whole numbers.
        antialias: whether the kernel widens when an image shrinks.
        quantized: whether the result is rounded to uint8.
        fit: "stretch" ignores the aspect ratio; "shortest-side" resizes the shorter side, then cuts out the centre;
            "centre-square" cuts out the centre, then resizes.
    """

    size: int
    kernel: Literal["bilinear", "bicubic", "area"]
    implementation: Literal["tensorflow1", "torch", "pillow", "exact"]
    antialias: bool
    quantized: bool
    fit: Fit


@dataclass(frozen=True, kw_only=True)
class Normalization:
    """Grey levels to a network's input: ``(x / scale - mean) / std``, in this order."""

    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Network, files, preprocessing and arithmetic: two recipes that are equal give the same features.

    Attributes:
        network: which architecture; of a plug-in the target of a function that builds it, called as ``build(paths,
            size)`` with the files at hand and the square's side. It returns a ``torch.nn.Module`` that takes prepared
            pixels (B, 3, H, W) and returns ``{"features": (B, D)}``, with D as its ``width``.
        files: the weights first, then what else the network reads; none for grey levels, which need no network.
        resize: None where only the network's own size is taken.
        normalization: what the network's input is scaled to.
        dtype: of weights and arithmetic throughout; TF32 is off.
        outputs: which arrays are kept: "features", and for Inception "logits" and "spatial"; for grey levels
            "thumbnails".
        unit_length: whether features are divided by their Euclidean norm.
        plugin: the distribution and version that the network's code is of, where it is not the suite's own.
    """

    network: str
    files: tuple[WeightsFile, ...]
    resize: Resize | None
    normalization: Normalization
    dtype: DType = "float32"
    outputs: tuple[str, ...] = ("features",)
    unit_length: bool = False
    plugin: str | None = field(default=None, compare=False)  # absent from the identities of the suite's own

    def __post_init__(self) -> None:
        if self.dtype not in get_args(DType):
            raise UserError(
                f'features cannot be computed in "{self.dtype}".', hint=suggest(self.dtype, get_args(DType))
            )

    def identity(self, sha256: Mapping[str, str]) -> dict[str, Any]:
        """Returns the identity as plain data, with the sha256 of the files that were really read, by name."""
        told = {**compared(self), "files": {file.name: sha256[file.name] for file in self.files}}
        return told if self.plugin is None else told | {"plugin": self.plugin}


def compared(value: Any) -> Any:
    """Returns a dataclass as plain data: every field that equality compares, and no other."""
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: compared(getattr(value, item.name)) for item in fields(value) if item.compare}
    return [compared(item) for item in value] if isinstance(value, tuple) else value
