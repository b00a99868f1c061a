"""DINOv2 in its authors' layout against the network and the interpolation written out from their definitions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from trilemma.errors import UserError
from trilemma.features.dinov2 import dinov2_from, interpolate_positions
from trilemma.features.extractor import Extractor, load_extractor
from trilemma.features.presets import preset
from trilemma.features.recipe import DType
from trilemma.features.weights import VARIABLE, WeightsFile

WIDTH, DEPTH, PATCH, TRAINED = 128, 2, 14, 5

Draw = Callable[..., NDArray[np.uint8]]


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    """The published layout, small: layer scale, mask token, 5x5 patches trained."""
    draw = torch.Generator().manual_seed(3)

    def normal(*shape: int, scale: float = 0.1) -> Tensor:
        return scale * torch.randn(shape, generator=draw)

    found = {
        "cls_token": normal(1, 1, WIDTH),
        "mask_token": normal(1, WIDTH),
        "pos_embed": normal(1, 1 + TRAINED**2, WIDTH, scale=0.5),
        "patch_embed.proj.weight": normal(WIDTH, 3, PATCH, PATCH, scale=0.04),
        "patch_embed.proj.bias": normal(WIDTH),
        "norm.weight": 1 + normal(WIDTH),
        "norm.bias": normal(WIDTH),
    }
    for index in range(DEPTH):
        block = f"blocks.{index}."
        for norm in ("norm1", "norm2"):
            found |= {f"{block}{norm}.weight": 1 + normal(WIDTH), f"{block}{norm}.bias": normal(WIDTH)}
        shapes = {"attn.qkv": (3, 1), "attn.proj": (1, 1), "mlp.fc1": (4, 1), "mlp.fc2": (1, 4)}
        for name, (out, inner) in shapes.items():
            found[f"{block}{name}.weight"] = normal(out * WIDTH, inner * WIDTH)
            found[f"{block}{name}.bias"] = normal(out * WIDTH)
        found |= {f"{block}ls{i}.gamma": 0.5 + normal(WIDTH) for i in (1, 2)}
    return found


def class_token(tensors: dict[str, Tensor], pixels: Tensor, positions: Tensor) -> Tensor:
    """The transformer as the paper describes it, in plain tensor algebra."""
    grid = pixels.shape[-1] // PATCH
    patches = pixels.unflatten(3, (grid, PATCH)).unflatten(2, (grid, PATCH)).permute(0, 2, 4, 1, 3, 5).flatten(3)
    tokens = patches.flatten(1, 2) @ tensors["patch_embed.proj.weight"].flatten(1).T + tensors["patch_embed.proj.bias"]
    x = torch.cat([tensors["cls_token"].expand(len(pixels), -1, -1), tokens], 1) + positions
    for index in range(DEPTH):
        p = {name.split(".", 2)[2]: t for name, t in tensors.items() if name.startswith(f"blocks.{index}.")}
        y = F.layer_norm(x, (WIDTH,), p["norm1.weight"], p["norm1.bias"], 1e-6)
        qkv = (y @ p["attn.qkv.weight"].T + p["attn.qkv.bias"]).unflatten(2, (3, WIDTH // 64, 64))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        y = ((q @ k.transpose(2, 3) / 8).softmax(3) @ v).transpose(1, 2).flatten(2)
        x = x + p["ls1.gamma"] * (y @ p["attn.proj.weight"].T + p["attn.proj.bias"])
        y = F.layer_norm(x, (WIDTH,), p["norm2.weight"], p["norm2.bias"], 1e-6)
        y = y @ p["mlp.fc1.weight"].T + p["mlp.fc1.bias"]
        y = 0.5 * y * (1 + torch.erf(y / math.sqrt(2)))
        x = x + p["ls2.gamma"] * (y @ p["mlp.fc2.weight"].T + p["mlp.fc2.bias"])
    return F.layer_norm(x, (WIDTH,), tensors["norm.weight"], tensors["norm.bias"], 1e-6)[:, 0]


def cubic(x: float, a: float = -0.75) -> float:
    x = abs(x)
    if x < 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


def authors_matrix(trained: int, grid: int) -> Tensor:
    """Cubic interpolation at (i + 1/2) · trained / (grid + 0.1) - 1/2, the edge repeated, nothing widened."""
    matrix = torch.zeros(grid, trained, dtype=torch.float64)
    for i in range(grid):
        place = (i + 0.5) * trained / (grid + 0.1) - 0.5
        for j in range(math.floor(place) - 1, math.floor(place) + 3):
            matrix[i, min(max(j, 0), trained - 1)] += cubic(place - j)
    return matrix


def authors_positions(positions: Tensor, grid: int) -> Tensor:
    trained = math.isqrt(positions.shape[1] - 1)
    matrix = authors_matrix(trained, grid)
    patches = positions[0, 1:].double().unflatten(0, (trained, trained))
    resized = torch.einsum("iy,jx,yxd->ijd", matrix, matrix, patches).flatten(0, 1)
    return torch.cat([positions[:, :1].double(), resized[None]], 1)


@pytest.mark.parametrize("trained,grid", ((5, 3), (5, 16), (37, 16)))
def test_positions_are_interpolated_as_the_authors_do(trained: int, grid: int) -> None:
    positions = torch.randn(1, 1 + trained**2, 8, generator=torch.Generator().manual_seed(0))
    ours = interpolate_positions(positions, grid)
    assert ours.shape == (1, 1 + grid**2, 8)
    torch.testing.assert_close(ours.double(), authors_positions(positions, grid), atol=1e-4, rtol=0)


def test_timms_own_interpolation_is_another_one() -> None:
    """Why it is done here: anti-aliased and by size, the embeddings of 224 pixels differ by a tenth of their spread."""
    from timm.layers import resample_abs_pos_embed

    positions = torch.randn(1, 1 + 37**2, 8, generator=torch.Generator().manual_seed(0))
    timms = resample_abs_pos_embed(positions, [16, 16], num_prefix_tokens=1)
    assert (timms - interpolate_positions(positions, 16)).std() > 0.1 * positions.std()


def test_positions_of_the_trained_size_stay() -> None:
    positions = torch.randn(1, 26, 8)
    assert torch.equal(interpolate_positions(positions, 5), positions)


@pytest.mark.parametrize("size", (42, 70, 224))
def test_the_class_token_is_the_papers(size: int, tensors: dict[str, Tensor]) -> None:
    pixels = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    network = dinov2_from(tensors, size, Path("file"))
    assert network.width == WIDTH
    expected = class_token(tensors, pixels, interpolate_positions(tensors["pos_embed"], size // PATCH))
    torch.testing.assert_close(network(pixels)["features"], expected, atol=2e-5, rtol=1e-4)


@pytest.fixture
def load(tensors: dict[str, Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Extractor]:
    torch.save(tensors, tmp_path / "dino.pth")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    recipe = replace(preset("fd-dinov2").recipe, files=(WeightsFile(name="dino.pth"),))

    def loader(dtype: DType | None = None) -> Extractor:
        return load_extractor(recipe, dtype=dtype)

    return loader


def test_the_extractor_takes_images_of_any_size(load: Callable[..., Extractor], pictures: Draw) -> None:
    images = [pictures(1, 40, 60)[0], pictures(1, 32, 32)[0]]
    extractor = load()
    features = extractor.batch(images)["features"]
    assert (features.shape, features.dtype, extractor.width) == ((2, WIDTH), np.float32, WIDTH)
    np.testing.assert_allclose(extractor.batch(images[1:])["features"][0], features[1], atol=1e-5)


def test_float64_is_float64(load: Callable[..., Extractor], pictures: Draw) -> None:
    images = pictures(2, 40, 40)
    double = load("float64").batch(images)["features"]
    alone = load("float64").batch(images[:1])["features"]
    single = load().batch(images)["features"]
    assert double.dtype == np.float64
    assert np.abs(double[0] - alone[0]).max() < 1e-12
    assert 1e-9 < np.abs(double - single).max() < 1e-4


def test_the_published_file_is_understood() -> None:
    """343 tensors of 304,368,640 numbers, as dinov2_vitl14_pretrain.pth has them, without their values."""
    with torch.device("meta"):
        published = timm.create_model("vit_large_patch14_dinov2", num_classes=0).state_dict()
        published["mask_token"] = torch.empty(1, 1024)
        assert (len(published), sum(tensor.numel() for tensor in published.values())) == (343, 304_368_640)
        network = dinov2_from(published, 224, Path("file"))
    blocks = network.network.blocks
    assert (network.width, len(blocks), blocks[0].attn.num_heads) == (1024, 24, 16)
    assert network(torch.empty(1, 3, 224, 224, device="meta"))["features"].shape == (1, 1024)


def test_other_weights_are_refused() -> None:
    with pytest.raises(UserError, match="not the weights of a DINOv2"):
        dinov2_from({"conv.weight": torch.zeros(1)}, 224, Path("file"))
