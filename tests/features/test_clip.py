"""CLIP with random weights in the layout of the published files, against transformers' own model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor
from transformers import CLIPConfig, CLIPModel

from trilemma.errors import UserError
from trilemma.features.clip import END, clip_from, config_of
from trilemma.features.extractor import Extractor, load_extractor
from trilemma.features.preprocessing import prepare
from trilemma.features.presets import preset
from trilemma.features.recipe import DType, Recipe
from trilemma.features.weights import VARIABLE

START = "<|startoftext|>"
WORDS = ("a", "red", "star", "on", "green", "photo", START, END)
CONTEXT = 8

Draw = Callable[..., NDArray[np.uint8]]


@pytest.fixture(scope="module")
def model(random_tensors: Callable[..., dict[str, Tensor]]) -> CLIPModel:
    tower = {"intermediate_size": 256, "num_hidden_layers": 2, "projection_dim": 32, "hidden_act": "quick_gelu"}
    ends = {"bos_token_id": len(WORDS) - 2, "eos_token_id": len(WORDS) - 1, "pad_token_id": len(WORDS) - 1}
    config = CLIPConfig(
        text_config={
            **tower, **ends, "hidden_size": 64, "num_attention_heads": 1, "vocab_size": len(WORDS),
            "max_position_embeddings": CONTEXT,
        },
        vision_config={
            **tower, "hidden_size": 128, "num_attention_heads": 2, "image_size": 224, "patch_size": 32,
        },
        projection_dim=32,
    )  # fmt: skip
    network = CLIPModel(config)
    network.load_state_dict(random_tensors(network))
    return network.eval()


@pytest.fixture
def folder(model: CLIPModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of weights as the hub has them; files of that age hold position_ids as well."""
    home = tmp_path / "clip-vit-base-patch32"
    home.mkdir()
    ids = {
        f"{tower}.embeddings.position_ids": torch.arange(n)[None]
        for tower, n in (("text_model", 8), ("vision_model", 50))
    }
    torch.save(model.state_dict() | ids, home / "pytorch_model.bin")
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="a"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, len(WORDS) - 2), (END, len(WORDS) - 1)]
    )
    tokenizer.save(str(home / "tokenizer.json"))
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return home


def unpinned(recipe: Recipe) -> Recipe:
    return replace(recipe, files=tuple(replace(file, sha256=None) for file in recipe.files))


def load(name: str, dtype: DType | None = None) -> Extractor:
    return load_extractor(unpinned(preset(name).recipe), dtype=dtype)


@torch.no_grad()
def test_clip_score_embeds_as_transformers_does(folder: Path, model: CLIPModel, pictures: Draw) -> None:
    images, extractor = pictures(2, 50, 80), load("clip-score")
    ids = torch.tensor([[6, 0, 1, 2, 7, 7, 7, 7], [6, 0, 5, 7, 7, 7, 7, 7]])
    pixels = prepare(list(images), extractor.recipe, torch.device("cpu"))
    expected = model(input_ids=ids, pixel_values=pixels)
    features = extractor.batch(images)["features"]
    texts = extractor.texts(["a red star", "a photo"])
    np.testing.assert_allclose(features, expected.image_embeds.numpy(), atol=1e-5)
    np.testing.assert_allclose(texts, expected.text_embeds.numpy(), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, rtol=1e-5)
    assert np.abs(texts[0] - texts[1]).max() > 1e-3


def test_clip_fid_keeps_the_length(folder: Path, pictures: Draw) -> None:
    images = pictures(3, 64, 64)
    raw, unit = (load(name).batch(images)["features"] for name in ("clip-fid", "clip-score"))
    np.testing.assert_allclose(raw / np.linalg.norm(raw, axis=1, keepdims=True), unit, atol=1e-6)
    assert np.abs(np.linalg.norm(raw, axis=1) - 1).min() > 0.05


def test_a_text_does_not_depend_on_the_others(folder: Path) -> None:
    extractor = load("clip-score")
    together = extractor.texts(["a red star on green", "a", "photo a a a a a a a a a a a a a"])
    for index, prompt in enumerate(("a red star on green", "a", "photo a a a a a")):  # cut at the context, ends kept
        np.testing.assert_allclose(extractor.texts([prompt])[0], together[index], atol=1e-6)


def test_an_image_does_not_depend_on_the_others(folder: Path, pictures: Draw) -> None:
    images, extractor = pictures(4, 32, 32), load("clip-fid")
    together = extractor.batch(images)["features"]
    np.testing.assert_allclose(extractor.batch(images[2:3])["features"][0], together[2], atol=1e-5)


def test_float64_is_float64(folder: Path, pictures: Draw) -> None:
    images, prompts = pictures(2, 40, 40), ["a red star", "photo"]
    double, single = load("clip-score", "float64"), load("clip-score")
    for measure, given in (("texts", prompts), ("batch", images)):
        found, alone, coarse = (
            np.asarray(out["features"] if isinstance(out, dict) else out)
            for out in (
                getattr(double, measure)(given),
                getattr(double, measure)(given[:1]),
                getattr(single, measure)(given),
            )
        )
        assert found.dtype == np.float64
        assert np.abs(found[0] - alone[0]).max() < 1e-13
        assert 1e-10 < np.abs(found - coarse).max() < 1e-5


def test_without_a_tokenizer_there_is_no_text(folder: Path) -> None:
    with pytest.raises(UserError, match="reads images, and no text"):
        load("clip-fid").texts(["a"])


def test_the_identity_names_both_files(folder: Path) -> None:
    files = load("clip-score").identity["files"]
    assert set(files) == {"pytorch_model.bin", "tokenizer.json"}
    assert all(len(sha256) == 64 for sha256 in files.values())
    assert set(load("clip-fid").identity["files"]) == {"pytorch_model.bin"}


def test_loading_leaves_random_numbers_alone(folder: Path) -> None:
    before = torch.random.get_rng_state()
    load("clip-fid")
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    "text,vision,projection",
    (((512, 8), (768, 12, 12, 32, 224), 512), ((768, 12), (1024, 24, 16, 14, 336), 768)),
    ids=("ViT-B/32", "ViT-L/14-336"),
)
def test_the_published_architectures_are_recognised(
    text: tuple[int, int], vision: tuple[int, int, int, int, int], projection: int
) -> None:
    """Widths, layers, heads, patch and image size of OpenAI's models, from the shapes of their weights."""
    width, layers, heads, patch, size = vision
    published = CLIPConfig(
        text_config={"hidden_size": text[0], "intermediate_size": 4 * text[0], "num_attention_heads": text[1]},
        vision_config={
            "hidden_size": width, "intermediate_size": 4 * width, "num_hidden_layers": layers,
            "num_attention_heads": heads, "patch_size": patch, "image_size": size,
        },
        projection_dim=projection,
    )  # fmt: skip
    with torch.device("meta"):
        shapes = CLIPModel(published).state_dict()
    config, context = config_of(shapes)
    assert context == 77
    assert config.projection_dim == projection
    names = (
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "hidden_act",
        "layer_norm_eps",
    )
    for ours, theirs, more in (
        (config.text_config, published.text_config, ("vocab_size", "eos_token_id", "max_position_embeddings")),
        (config.vision_config, published.vision_config, ("patch_size", "image_size")),
    ):
        for name in names + more:
            assert getattr(ours, name) == getattr(theirs, name), name


def test_damage_is_a_user_error(folder: Path, model: CLIPModel) -> None:
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match="tokenizer cannot be read"):
        load("clip-score")
    for tensors in ({"conv.weight": torch.zeros(1)}, {**model.state_dict(), "more": torch.zeros(1)}):
        with pytest.raises(UserError, match="not the weights of a CLIP"):
            clip_from(tensors, None, Path("file"))
