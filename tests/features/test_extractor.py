"""An extractor as such: what it refuses, what it hands on, and precision that no global switch can lower."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trilemma.data import scenes
from trilemma.errors import UserError
from trilemma.features import instrument_folder
from trilemma.features.extractor import Extractor, load_extractor
from trilemma.features.factor_net import load_factor_net
from trilemma.features.precision import full_precision
from trilemma.features.presets import preset
from trilemma.identity import file_digest

Draw = Callable[..., NDArray[np.uint8]]
SCENES = preset("scenes").recipe


class Mean(nn.Module):
    """The mean colour, as a network."""

    width = 3

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        return {"features": self.factor * pixels.mean((2, 3)), "logits": pixels.amax((2, 3))}


def mean_extractor(factor: float = 1.0, **fields: object) -> Extractor:
    recipe = replace(SCENES, outputs=("features",), **fields)  # type: ignore[arg-type]
    return Extractor(recipe, Mean(factor), {"model.safetensors": "0" * 64})


def test_only_the_recipes_outputs_are_kept(pictures: Draw) -> None:
    outputs = mean_extractor().batch(pictures(5, 32, 32))
    assert {name: (array.shape, array.dtype) for name, array in outputs.items()} == {"features": ((5, 3), np.float32)}


def test_a_list_of_images_is_an_array_of_images(pictures: Draw) -> None:
    images = pictures(3, 32, 32)
    first, second = (mean_extractor().batch(given)["features"] for given in (images, list(images)))
    assert np.array_equal(first, second)


def test_unit_length(pictures: Draw) -> None:
    features = mean_extractor(unit_length=True).batch(pictures(3, 32, 32))["features"]
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("factor", (np.nan, np.inf))
def test_features_that_are_not_finite_are_refused(factor: float, pictures: Draw) -> None:
    with pytest.raises(UserError, match="features of an image are not finite"):
        mean_extractor(factor).batch(pictures(1, 32, 32))


def test_scenes_is_the_instrument_of_a_run() -> None:
    images = scenes.images("reference", range(8))
    folder = instrument_folder("scenes-features")
    network = load_factor_net(folder)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().float() / 127.5 - 1
    features = network.features(pixels)
    extractor = load_extractor(SCENES)
    outputs = extractor.batch(images)
    np.testing.assert_allclose(outputs["features"], features.numpy(), atol=1e-5)
    np.testing.assert_allclose(outputs["logits"], network.predict(features).logits_BK.numpy(), atol=1e-5)
    assert extractor.width == features.shape[1]
    assert extractor.identity["files"] == {"model.safetensors": file_digest(folder / "model.safetensors")}


def test_scenes_refuses_other_sizes(pictures: Draw) -> None:
    with pytest.raises(UserError, match="32x32 images, not 48x64"):
        load_extractor(SCENES).batch(pictures(1, 64, 48))


def test_scenes_in_float64() -> None:
    images = scenes.images("reference", range(4))
    double, single = (load_extractor(SCENES, dtype=dtype) for dtype in ("float64", "float32"))
    found = double.batch(images)["features"]
    assert found.dtype == np.float64
    assert np.abs(double.batch(images[:1])["features"][0] - found[0]).max() < 1e-12
    assert 1e-9 < np.abs(found - single.batch(images)["features"]).max() < 1e-3
    assert double.identity != single.identity


def test_loading_scenes_leaves_random_numbers_alone() -> None:
    before = torch.random.get_rng_state()
    load_extractor(SCENES)
    assert torch.equal(torch.random.get_rng_state(), before)


def switches() -> list[object]:
    cudnn = torch.backends.cudnn
    return [cudnn.conv.fp32_precision, cudnn.rnn.fp32_precision, torch.backends.cuda.matmul.fp32_precision]  # type: ignore[attr-defined]


@pytest.mark.parametrize("matmul", ("highest", "high", "medium"))
@pytest.mark.parametrize("convolutions", (True, False))
def test_tf32_is_off_inside_and_as_it_was_outside(matmul: str, convolutions: bool) -> None:
    former = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    try:
        torch.set_float32_matmul_precision(matmul)
        torch.backends.cudnn.allow_tf32 = convolutions
        before = switches()
        with pytest.raises(ZeroDivisionError), full_precision():
            assert switches() == ["ieee"] * 3
            assert torch.get_float32_matmul_precision() == "highest"
            assert not torch.backends.cudnn.allow_tf32
            _ = 1 / 0
        assert switches() == before
        assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32) == (matmul, convolutions)
    finally:
        torch.set_float32_matmul_precision(former[0])
        torch.backends.cudnn.allow_tf32 = former[1]


def test_an_extractor_computes_in_full_precision(pictures: Draw) -> None:
    seen: list[object] = []
    extractor = mean_extractor()
    extractor.network.register_forward_hook(lambda *_: seen.extend(switches()))
    extractor.batch(pictures(1, 32, 32))
    assert seen == ["ieee"] * 3
