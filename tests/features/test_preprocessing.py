"""Resizes against the libraries and the formulas that define them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision import transforms

from trilemma.errors import UserError
from trilemma.features.clean_resize import bicubic_matrix, resize_clean
from trilemma.features.preprocessing import prepare, resize_pillow, resize_tensorflow1, resize_torch
from trilemma.features.presets import preset

SIZES = ((32, 32), (299, 299), (64, 40), (341, 512))
Draw = Callable[..., NDArray[np.uint8]]
CPU = torch.device("cpu")


def channels_first(images: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def pillow_float(channel: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    picture = Image.fromarray(channel.astype(np.float32))
    return np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC)).clip(0, 255)


@pytest.mark.parametrize("shape", SIZES)
def test_clean_resize_is_pillows(shape: tuple[int, int], pictures: Draw) -> None:
    images = pictures(2, *shape)
    expected = [[pillow_float(image[..., c], 299) for c in range(3)] for image in images]
    resized = resize_clean(channels_first(images).float(), 299)
    np.testing.assert_allclose(resized.numpy(), expected, atol=1e-3)


@pytest.mark.parametrize("shape", SIZES)
def test_clean_resize_is_clean_fids(shape: tuple[int, int], pictures: Draw) -> None:
    oracle = pytest.importorskip("cleanfid.resize").build_resizer("clean")
    images = pictures(2, *shape)
    resized = resize_clean(channels_first(images).float(), 299)
    np.testing.assert_allclose(resized.permute(0, 2, 3, 1).numpy(), [oracle(image) for image in images], atol=1e-3)


def test_clean_resize_does_not_round(pictures: Draw) -> None:
    resized = resize_clean(channels_first(pictures(1, 32, 32)).float(), 299)
    assert (resized != resized.round()).float().mean() > 0.9
    assert 0 <= resized.min() and resized.max() <= 255


@pytest.mark.parametrize("length", (7, 299, 1000))
def test_rows_of_the_bicubic_matrix_sum_to_one(length: int) -> None:
    matrix = bicubic_matrix(length, 299)
    np.testing.assert_allclose(matrix.sum(1), 1)
    np.testing.assert_allclose(matrix[::-1, ::-1], matrix, atol=1e-12)
    assert length != 299 or (matrix == np.eye(299)).all()


def test_tensorflow1_takes_corners_for_centres() -> None:
    ramp = torch.arange(4.0).expand(1, 3, 4, 4)
    resized = resize_tensorflow1(ramp, 8)[0, 0]
    assert resized[0].tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3]
    assert torch.equal(resized[0], resized[-1])


@pytest.mark.parametrize("shape", ((64, 40), (40, 64), (301, 224), (224, 224), (30, 31)))
def test_the_shortest_side_is_torchvisions(shape: tuple[int, int], pictures: Draw) -> None:
    """clean-fid's and CLIP's own: resize the short side, cut out the centre."""
    image = pictures(1, *shape)[0]
    oracle = transforms.Compose(
        [transforms.Resize(224, transforms.InterpolationMode.BICUBIC), transforms.CenterCrop(224)]
    )
    expected = np.asarray(oracle(Image.fromarray(image)))
    assert np.array_equal(resize_pillow(image, 224, "shortest-side"), expected)


@pytest.mark.parametrize("shape", SIZES)
def test_stretching_is_torchvisions(shape: tuple[int, int], pictures: Draw) -> None:
    """dgm-eval's own."""
    image = pictures(1, *shape)[0]
    oracle = transforms.Resize((224, 224), transforms.InterpolationMode.BICUBIC)
    assert np.array_equal(resize_pillow(image, 224, "stretch"), np.asarray(oracle(Image.fromarray(image))))


def test_the_centre_square_is_cut_before_the_resize(pictures: Draw) -> None:
    image = pictures(1, 50, 81)[0]
    expected = resize_pillow(np.ascontiguousarray(image[:, 15:65]), 336, "stretch")
    assert np.array_equal(resize_pillow(image, 336, "centre-square"), expected)


def test_fits_differ_on_oblong_images(pictures: Draw) -> None:
    image = pictures(1, 64, 150)[0]
    first, second, third = (resize_pillow(image, 64, fit) for fit in ("stretch", "shortest-side", "centre-square"))
    assert not np.array_equal(first, second)
    assert np.array_equal(second, third)  # nothing is left to resize


def test_inputs_of_dinov2_are_dgm_evals(pictures: Draw) -> None:
    image = pictures(1, 90, 120)[0]
    oracle = transforms.Compose(
        [
            transforms.Resize((224, 224), transforms.InterpolationMode.BICUBIC),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    assert torch.equal(prepare([image], preset("fd-dinov2").recipe, CPU)[0], oracle(Image.fromarray(image)))


def test_inputs_of_inception_are_torch_fidelitys(pictures: Draw) -> None:
    images = pictures(2, 32, 32)
    expected = (resize_tensorflow1(channels_first(images).float(), 299) - 128) / 128
    assert torch.equal(prepare(list(images), preset("fid").recipe, CPU), expected)


@pytest.mark.parametrize("name", ("fid", "fid-clean", "fd-dinov2", "clip-fid", "cmmd"))
def test_images_of_several_sizes_keep_their_order(name: str, pictures: Draw) -> None:
    images = [pictures(1, *shape, seed)[0] for seed, shape in enumerate(((40, 30), (40, 30), (25, 60), (40, 30)))]
    recipe = preset(name).recipe
    together = prepare(images, recipe, CPU)
    for image, prepared in zip(images, together, strict=True):
        torch.testing.assert_close(prepare([image], recipe, CPU)[0], prepared, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ("fid", "fid-clean", "clip-fid", "scenes"))
def test_the_dtype_asked_for_is_the_dtype_of_the_input(name: str, pictures: Draw) -> None:
    recipe = replace(preset(name).recipe, dtype="float64")
    double = prepare(list(pictures(2, 32, 32)), recipe, CPU)
    single = prepare(list(pictures(2, 32, 32)), preset(name).recipe, CPU)
    assert (double.dtype, single.dtype) == (torch.float64, torch.float32)
    assert not torch.equal(double, single.double())
    torch.testing.assert_close(double, single.double(), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "image",
    (
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3), np.float32),
        np.zeros((0, 8, 3), np.uint8),
    ),
    ids=("grey", "alpha", "float", "empty"),
)
def test_what_is_no_rgb_image_is_refused(image: NDArray[np.uint8]) -> None:
    with pytest.raises(UserError, match="uint8"):
        prepare([image], preset("fid").recipe, CPU)


def test_sizes_must_agree_where_nothing_is_resized(pictures: Draw) -> None:
    with pytest.raises(UserError, match="different sizes"):
        prepare([pictures(1, 32, 32)[0], pictures(1, 16, 16)[0]], preset("scenes").recipe, CPU)


def test_pytorch_fids_resize_is_between_pixel_centres() -> None:
    ramp = torch.arange(4.0).expand(1, 3, 4, 4)
    assert resize_torch(ramp, 8)[0, 0, 0].tolist() == [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]
    assert resize_torch(ramp, 2)[0, 0, 0].tolist() == [0.5, 2.5]  # not anti-aliased: a mean of two, not of four


def test_the_recipe_of_pytorch_fid(pictures: Draw) -> None:
    images = pictures(2, 64, 40)
    expected = torch.nn.functional.interpolate(channels_first(images) / 255, (299, 299), mode="bilinear") * 2 - 1
    prepared = prepare(list(images), preset("fid-pytorch").recipe, CPU)
    torch.testing.assert_close(prepared, expected, rtol=0, atol=1e-5)
    assert (prepared - prepare(list(images), preset("fid").recipe, CPU)).abs().max() > 0.05
