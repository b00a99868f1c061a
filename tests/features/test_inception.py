"""TF-Inception against torch-fidelity's own path, with random weights in the published layout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from trilemma.errors import UserError
from trilemma.features.extractor import Extractor, load_extractor
from trilemma.features.inception import Inception, TFInception
from trilemma.features.presets import preset
from trilemma.features.recipe import DType, Recipe
from trilemma.features.weights import VARIABLE, WeightsFile

Draw = Callable[..., NDArray[np.uint8]]


@pytest.fixture
def load(inception_file: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Extractor]:
    """Loads a preset's extractor from the random weights, which no pin knows."""

    def loader(name: str, dtype: DType | None = None) -> Extractor:
        monkeypatch.setenv(VARIABLE, str(inception_file.parent))
        return load_extractor(unpinned(preset(name).recipe, inception_file), dtype=dtype)

    return loader


def unpinned(recipe: Recipe, path: Path) -> Recipe:
    return replace(recipe, files=(WeightsFile(name=path.name),))


@pytest.fixture(scope="module")
def theirs(inception_file: Path) -> FeatureExtractorInceptionV3:
    return FeatureExtractorInceptionV3("inception-v3-compat", ["2048", "logits_unbiased"], str(inception_file))


def channels_first(images: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()


@pytest.mark.parametrize("shape", ((32, 32), (320, 40)))
def test_fid_features_are_torch_fidelitys(
    shape: tuple[int, int], load: Callable[..., Extractor], theirs: nn.Module, pictures: Draw
) -> None:
    images = pictures(2, *shape)
    features, logits = theirs(channels_first(images))
    ours = load("fid").batch(images)
    assert list(ours) == ["features", "logits"]
    assert features.std() > 1e-3
    assert np.array_equal(ours["features"], features.numpy())
    assert np.array_equal(ours["logits"], logits.numpy())
    assert (ours["features"].dtype, ours["features"].shape, ours["logits"].shape) == (np.float32, (2, 2048), (2, 1008))


def test_logits_leave_out_the_bias(load: Callable[..., Extractor], inception_file: Path, pictures: Draw) -> None:
    outputs = load("fid").batch(pictures(1, 32, 32))
    weight = torch.load(inception_file, weights_only=True)["fc.weight"].double().numpy()
    np.testing.assert_allclose(outputs["logits"], outputs["features"] @ weight.T, rtol=1e-4, atol=1e-4)


def test_the_instruments_of_a_run_take_the_same_path(
    inception_file: Path, load: Callable[..., Extractor], pictures: Draw
) -> None:
    images = pictures(2, 32, 32)
    inside = Inception(inception_file).to(torch.device("cpu")).measure(channels_first(images))
    outputs = load("fid").batch(images)
    assert np.array_equal(inside["inception"], outputs["features"])
    assert np.array_equal(inside["inception_logits"], outputs["logits"])


def test_adm_features_are_the_first_channels_of_the_first_branch(
    load: Callable[..., Extractor], theirs: FeatureExtractorInceptionV3, pictures: Draw
) -> None:
    """mixed_6/conv of the graph is the 1x1 branch of Mixed_6d, which torch-fidelity's network computes for itself."""
    images = pictures(2, 64, 64)
    seen: list[Tensor] = []
    handle = theirs.Mixed_6d.branch1x1.register_forward_hook(lambda module, inputs, output: seen.append(output.clone()))
    theirs(channels_first(images))
    handle.remove()
    outputs = load("fid-adm").batch(images)
    assert outputs["spatial"].shape == (2, 2023)
    assert outputs["spatial"].std() > 1e-3
    for image in range(2):
        for row, column, channel in ((0, 0, 0), (0, 1, 6), (5, 16, 3), (16, 16, 6)):
            place = (row * 17 + column) * 7 + channel
            assert outputs["spatial"][image, place] == seen[0][image, channel, row, column]


def test_fid_clean_resizes_before_the_network(
    load: Callable[..., Extractor], theirs: FeatureExtractorInceptionV3, pictures: Draw
) -> None:
    resize = pytest.importorskip("cleanfid.resize").build_resizer("clean")
    images = pictures(2, 48, 32)
    pixels = (torch.from_numpy(np.stack([resize(image) for image in images])).permute(0, 3, 1, 2) - 128) / 128
    maps = pixels
    for name, block in theirs.named_children():
        maps = block(maps) if name != "fc" else maps
    clean = load("fid-clean").batch(images)["features"]
    np.testing.assert_allclose(clean, maps.flatten(1).numpy(), rtol=1e-3, atol=1e-4)
    assert np.abs(clean - load("fid").batch(images)["features"]).max() > 0.01


def test_float64_is_float64_throughout(load: Callable[..., Extractor], inception_file: Path, pictures: Draw) -> None:
    images = pictures(3, 32, 32)
    extractor = load("fid-adm", "float64")
    dtypes: set[torch.dtype] = set()
    for module in extractor.network.modules():
        module.register_forward_hook(
            lambda module, inputs, output: dtypes.update(t.dtype for t in (output, *inputs) if isinstance(t, Tensor))
        )
    double = extractor.batch(images)
    assert dtypes == {torch.float64}
    alone = extractor.batch(images[1:2])
    single = load("fid-adm").batch(images)
    for name in double:
        assert double[name].dtype == np.float64
        scale = np.abs(double[name]).max()
        assert np.abs(double[name][1] - alone[name][0]).max() < 1e-12 * scale
        assert 1e-9 * scale < np.abs(double[name] - single[name]).max() < 1e-4 * scale


def test_torch_fidelitys_own_switch_stays_in_float32(inception_file: Path) -> None:
    """Why the way through the network is ours."""
    network = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048"], str(inception_file), feature_extractor_internal_dtype="float64"
    )
    assert network.fc.weight.dtype == torch.float32


def test_features_do_not_depend_on_batch_mates(load: Callable[..., Extractor], pictures: Draw) -> None:
    images = pictures(4, 32, 32)
    extractor = load("fid-adm")
    together = extractor.batch(images)
    for index in range(4):
        alone = extractor.batch(images[index : index + 1])
        for name, array in together.items():
            np.testing.assert_allclose(alone[name][0], array[index], atol=1e-5 * np.abs(array).max())


def test_loading_leaves_random_numbers_alone(load: Callable[..., Extractor]) -> None:
    before = torch.random.get_rng_state()
    load("fid")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_names_are_those_of_the_published_file() -> None:
    with torch.device("meta"):
        assert len(TFInception().state_dict()) == 566


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save({"conv.weight": torch.zeros(1)}, tmp_path / "other.pth")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(UserError, match="not the weights of TF-Inception"):
        load_extractor(unpinned(preset("fid").recipe, tmp_path / "other.pth"))


def test_the_pin_is_checked_before_loading(
    inception_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = preset("fid").recipe
    (tmp_path / recipe.files[0].name).symlink_to(inception_file)
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(UserError, match="not the published file"):
        load_extractor(recipe)
