"""Protocols of the field under names of their own: the same network under another resize is another preset.

A preset says which features are taken and which metrics are computed of them, with every parameter that the published
numbers depend on. Where a suite leaves something to the machine (half precision or TF32 on a GPU), this one computes in
float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from trilemma.errors import UserError, suggest
from trilemma.features.plugin import recipe_of_plugin
from trilemma.features.recipe import Normalization, Recipe, Resize, compared
from trilemma.features.weights import WeightsFile
from trilemma.identity import digest

Value = int | float | str | bool | tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class MetricUse:
    """One number that a preset gives.

    Attributes:
        name: of the number, such as "sfid".
        function: of ``metrics`` that computes it, such as "frechet_distance"; "prdc" gives four, by their names.
        output: the extractor's array that it reads.
        parameters: the function's, as pairs of name and value in alphabetical order. For Inception scores,
            ``images_per_split`` cuts runs of that many images instead of ``splits`` runs.
    """

    name: str
    function: str
    output: str = "features"
    parameters: tuple[tuple[str, Value], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A protocol of the field.

    Attributes:
        name: what the user types.
        title: for people; the one field that is not part of the identity.
        recipe: how features are made.
        metrics: what is computed of them.
    """

    name: str
    title: str = field(compare=False)
    recipe: Recipe
    metrics: tuple[MetricUse, ...]

    def identity(self) -> dict[str, Any]:
        """Returns everything that the preset's numbers depend on, as plain data."""
        fields: dict[str, Any] = compared(self)
        return fields

    def digest(self) -> str:
        """Returns the sha256 of the identity, 64 hex characters."""
        return digest(self.identity())


def preset(name: str) -> Preset:
    """Returns the preset of this name, or that of a plug-in; raises UserError with a suggestion where there is none."""
    plugged = recipe_of_plugin(name, own=name in PRESETS)
    if plugged is not None:
        title = f"the features of {plugged.plugin}, by the suite's own conventions"
        return Preset(name=name, title=title, recipe=replace(plugged, outputs=("features",)), metrics=_OF_ANY_FEATURES)
    if name not in PRESETS:
        raise UserError(f'there is no preset "{name}".', hint=suggest(name, PRESETS))
    return PRESETS[name]


def _use(name: str, function: str, output: str = "features", **parameters: Value) -> MetricUse:
    return MetricUse(name=name, function=function, output=output, parameters=tuple(sorted(parameters.items())))


def _neighbors(names: tuple[str, ...], k: int, *, strict: bool, equal_sizes: bool = True) -> tuple[MetricUse, ...]:
    """Manifold metrics: ``strict`` leaves out a point that lies exactly on a neighbourhood's edge (< and not <=)."""
    return tuple(_use(name, "prdc", k=k, strict=strict, equal_sizes=equal_sizes) for name in names)


INCEPTION = WeightsFile(
    name="weights-inception-2015-12-05-6726825d.pth",
    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    url="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
)
DINOV2_L14 = WeightsFile(
    name="dinov2_vitl14_pretrain.pth",
    sha256="d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
    url="https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth",
)


def _of_openai(repository: str, revision: str, name: str, sha256: str) -> WeightsFile:
    url = f"https://huggingface.co/openai/{repository}/resolve/{revision}/{name}"
    return WeightsFile(name=name, sha256=sha256, url=url, repository=f"openai/{repository}", revision=revision)


_B32 = ("clip-vit-base-patch32", "3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268")
CLIP_B32 = _of_openai(
    *_B32, "pytorch_model.bin", "a63082132ba4f97a80bea76823f544493bffa8082296d62d71581a4feff1576f"
)  # fmt: skip
CLIP_B32_TOKENIZER = _of_openai(
    *_B32, "tokenizer.json", "b556ac8c99757ffb677208af34bc8c6721572114111a6e0aaf5fa69ff0b8d842"
)  # fmt: skip
CLIP_L14_336 = _of_openai(
    "clip-vit-large-patch14-336", "ce19dc912ca5cd21c8a653c79e251e808ccabcd1", "pytorch_model.bin",
    "c6032c2e0caae3dc2d4fba35535fa6307dbb49df59c7e182b1bc4b3329b81801",
)  # fmt: skip

_TENSORFLOW = Resize(
    size=299, kernel="bilinear", implementation="tensorflow1", antialias=False, quantized=False, fit="stretch"
)
_TORCH = Resize(size=299, kernel="bilinear", implementation="torch", antialias=False, quantized=False, fit="stretch")
_CLEAN = Resize(size=299, kernel="bicubic", implementation="pillow", antialias=True, quantized=False, fit="stretch")
_PILLOW_224 = Resize(size=224, kernel="bicubic", implementation="pillow", antialias=True, quantized=True, fit="stretch")
_CLIP_224 = Resize(
    size=224, kernel="bicubic", implementation="pillow", antialias=True, quantized=True, fit="shortest-side"
)
_CMMD_336 = Resize(
    size=336, kernel="bicubic", implementation="pillow", antialias=True, quantized=True, fit="centre-square"
)

_TO_INCEPTION = Normalization(scale=1.0, mean=(128.0, 128.0, 128.0), std=(128.0, 128.0, 128.0))
_TO_IMAGENET = Normalization(scale=255.0, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
_TO_CLIP = Normalization(
    scale=255.0, mean=(0.48145466, 0.4578275, 0.40821073), std=(0.26862954, 0.26130258, 0.27577711)
)
_TO_SCENES = Normalization(scale=127.5, mean=(1.0, 1.0, 1.0), std=(1.0, 1.0, 1.0))

_PRECISION, _DENSITY = ("precision", "recall"), ("density", "coverage")
_OF_ANY_FEATURES = (
    _use("fd", "frechet_distance"),
    _use("kid", "kernel_distance", seed=0),
    *_neighbors(_PRECISION + _DENSITY, 5, strict=False),
)
"""What is computed of features that the field has no convention for."""

# torch-fidelity: https://github.com/toshas/torch-fidelity; only its precision and recall take another network, VGG16.
_FID = Preset(
    name="fid",
    title="FID as torch-fidelity computes it: TF-Inception, TensorFlow 1 bilinear resize",
    recipe=Recipe(
        network="tf-inception", files=(INCEPTION,), resize=_TENSORFLOW, normalization=_TO_INCEPTION,
        outputs=("features", "logits"),
    ),
    metrics=(
        _use("fid", "frechet_distance"),
        _use("fid_infinity", "frechet_infinity", seed=0),
        _use("kid", "kernel_distance", seed=0),
        _use("inception_score", "inception_score_of_logits", "logits", splits=10, shuffle=True, seed=2020),
        *_neighbors(_PRECISION, 3, strict=False),
        *_neighbors(_DENSITY, 5, strict=True),
        _use("vendi", "vendi_score", q=1.0),
    ),
)  # fmt: skip

# clean-fid: https://github.com/GaParmar/clean-fid, Parmar et al., arXiv 2104.11222
_FID_CLEAN = Preset(
    name="fid-clean",
    title="FID as clean-fid computes it: TF-Inception, Pillow bicubic resize without rounding",
    recipe=Recipe(network="tf-inception", files=(INCEPTION,), resize=_CLEAN, normalization=_TO_INCEPTION),
    metrics=(_use("fid", "frechet_distance"), _use("kid", "kernel_distance", seed=0)),
)

# pytorch-fid: https://github.com/mseitzer/pytorch-fid; MLPerf's text-to-image benchmark measures by it
_FID_PYTORCH = Preset(
    name="fid-pytorch",
    title="FID as pytorch-fid computes it: TF-Inception, torch's bilinear resize, not anti-aliased",
    recipe=Recipe(network="tf-inception", files=(INCEPTION,), resize=_TORCH, normalization=_TO_SCENES),
    metrics=(_use("fid", "frechet_distance"),),
)

# ADM's evaluator: https://github.com/openai/guided-diffusion, Dhariwal and Nichol, arXiv 2105.05233
_FID_ADM = Preset(
    name="fid-adm",
    title="FID, sFID, IS, precision and recall as ADM's evaluator computes them",
    recipe=Recipe(
        network="tf-inception", files=(INCEPTION,), resize=_TENSORFLOW, normalization=_TO_INCEPTION,
        outputs=("features", "logits", "spatial"),
    ),
    metrics=(
        _use("fid", "frechet_distance"),
        _use("sfid", "spatial_frechet_distance", "spatial"),
        _use("inception_score", "inception_score_of_logits", "logits", images_per_split=5000, shuffle=False),
        *_neighbors(_PRECISION, 3, strict=False, equal_sizes=False),  # 10,000 real images against 50,000
    ),
)  # fmt: skip

# dgm-eval: https://github.com/layer6ai-labs/dgm-eval, Stein et al., arXiv 2306.04675
_FD_DINOV2 = Preset(
    name="fd-dinov2",
    title="Fréchet distance as dgm-eval computes it: class token of DINOv2 ViT-L/14, Pillow bicubic resize",
    recipe=Recipe(network="dinov2", files=(DINOV2_L14,), resize=_PILLOW_224, normalization=_TO_IMAGENET),
    metrics=(
        _use("fd_dinov2", "frechet_distance"),
        _use("fd_dinov2_infinity", "frechet_infinity", seed=0),
        _use("kd_dinov2", "kernel_distance", seed=0),
        *_neighbors(_PRECISION + _DENSITY, 5, strict=True),
        _use("vendi", "vendi_score", q=1.0),
    ),
)

# clean-fid's CLIP features, Kynkäänniemi et al., arXiv 2203.06026
_CLIP_FID = Preset(
    name="clip-fid",
    title="Fréchet distance in clean-fid's CLIP features: OpenAI ViT-B/32, projected, length kept",
    recipe=Recipe(network="clip", files=(CLIP_B32,), resize=_CLIP_224, normalization=_TO_CLIP),
    metrics=(_use("clip_fid", "frechet_distance"),),
)

# https://github.com/google-research/google-research/tree/master/cmmd, Jayasumana et al., arXiv 2401.09603
_CMMD = Preset(
    name="cmmd",
    title="CMMD as released: OpenAI CLIP ViT-L/14 at 336, unit length, Gaussian kernel",
    recipe=Recipe(
        network="clip", files=(CLIP_L14_336,), resize=_CMMD_336, normalization=_TO_CLIP, unit_length=True
    ),
    metrics=(_use("cmmd", "cmmd", unbiased=False),),
)  # fmt: skip

# Hessel et al., arXiv 2104.08718, take w = 2.5 and the prefix "A photo depicts "; papers on text-to-image mostly print
# the scale and the empty prefix below. A replaced parameter is another identity.
_CLIP_SCORE = Preset(
    name="clip-score",
    title="CLIP score: 100 max(cos, 0), OpenAI ViT-B/32, no prefix",
    recipe=Recipe(
        network="clip", files=(CLIP_B32, CLIP_B32_TOKENIZER), resize=_CLIP_224, normalization=_TO_CLIP,
        unit_length=True,
    ),
    metrics=(_use("clip_score", "clip_score", scale=100.0, prefix="", clamp=True),),
)  # fmt: skip

_SCENES = Preset(
    name="scenes",
    title="FD-Scenes: this suite's own extractor for 32x32 scenes",
    recipe=Recipe(
        network="factor-net",
        files=(WeightsFile(name="model.safetensors", instrument="scenes-features"),),
        resize=None,
        normalization=_TO_SCENES,
        outputs=("features", "logits"),
    ),
    metrics=(
        _use("fd_scenes", "frechet_distance"),
        _use("fd_scenes_infinity", "frechet_infinity", seed=0),
        _use("kid", "kernel_distance", seed=0),
        _use("inception_score", "inception_score_of_factors", "logits", sizes=(8, 8, 8), splits=1),
        *_neighbors(_PRECISION + _DENSITY, 5, strict=True),
        _use("vendi", "vendi_score", q=1.0),
    ),
)

_ALL = (_FID, _FID_CLEAN, _FID_PYTORCH, _FID_ADM, _FD_DINOV2, _CLIP_FID, _CMMD, _CLIP_SCORE, _SCENES)

PRESETS: Mapping[str, Preset] = MappingProxyType({entry.name: entry for entry in _ALL})
"""All presets by name."""
