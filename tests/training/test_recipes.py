"""The parts that the recipes share: losses, the token cache, what is written at the end, what is refused."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from trilemma.card import load_card
from trilemma.data import home, scenes
from trilemma.data.mnist import FASHION_MNIST, open_fashion_mnist
from trilemma.data.scenes_data import ScenesData
from trilemma.errors import UserError
from trilemma.families.table import FAMILIES
from trilemma.families.text import TextEncoder, tokenize
from trilemma.training import finish, token_cache
from trilemma.training.job import Job
from trilemma.training.reconstruction import PERCEPTUAL_WEIGHT, load_image_tower, reconstruction_loss
from trilemma.training.run import RECIPES, train
from trilemma.training.split import TrainingSplit
from trilemma.training.text_encoder import ImageTower, TextEncoderStage, build_tokenizer, contrastive_loss

CPU = torch.device("cpu")
SCENES = TrainingSplit(ScenesData())


def test_the_training_split_is_encoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "TRAIN_IMAGES", 500)
    data = TrainingSplit(ScenesData())
    calls: list[int] = []

    def encode(images: Tensor) -> Tensor:
        calls.append(len(images))
        return images.mean((2, 3)).mul(100).long()

    first = token_cache.encode_training_split(tmp_path / "tokens.npy", data, encode, CPU)
    assert calls == [250, 250]
    again = token_cache.encode_training_split(tmp_path / "tokens.npy", data, encode, CPU)
    assert calls == [250, 250]
    assert torch.equal(first, again)
    assert first.dtype == torch.int16
    expected = torch.from_numpy(scenes.images("train", [499])).float().div(127.5).sub(1).mean((1, 2)).mul(100).long()
    assert first[499].tolist() == expected[0].tolist()
    assert [path.name for path in tmp_path.iterdir()] == ["tokens.npy"]


def test_an_encoding_that_was_cut_off_leaves_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "TRAIN_IMAGES", 500)
    seen: list[int] = []

    def encode(images: Tensor) -> Tensor:
        if seen:
            raise KeyboardInterrupt
        seen.append(len(images))
        return images.mean((2, 3))

    with pytest.raises(KeyboardInterrupt):
        token_cache.encode_training_split(tmp_path / "latents.npy", TrainingSplit(ScenesData()), encode, CPU)
    assert not (tmp_path / "latents.npy").exists()


def test_latents_are_kept_in_half_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "TRAIN_IMAGES", 250)
    data = TrainingSplit(ScenesData())
    latents = token_cache.encode_training_split(tmp_path / "latents.npy", data, lambda x: x.mean((2, 3)), CPU)
    assert latents.dtype == torch.float16


def test_the_last_batch_may_be_a_short_one(tmp_path: Path, small_fashion_mnist: Path) -> None:
    data = TrainingSplit(open_fashion_mnist())
    assert data.count % token_cache.BATCH
    means = token_cache.encode_training_split(tmp_path / "means.npy", data, lambda x: x.mean((2, 3)), CPU)
    assert len(means) == data.count
    expected = data.pictures(np.array([data.count - 1]), CPU).mean((2, 3)).half()
    assert torch.equal(means[-1:], expected)


def test_reconstruction_loss_is_zero_for_the_original_alone(text_folder: Path) -> None:
    torch.manual_seed(0)
    tower = ImageTower().eval()
    images = torch.rand(8, 3, 32, 32) * 2 - 1
    assert reconstruction_loss(images, images, tower).item() < 1e-6
    blurred = F.avg_pool2d(images, 3, stride=1, padding=1)
    shifted = images + 0.1
    assert reconstruction_loss(shifted, images, tower) > 0.1
    # Edges count beside pixels: of two equal absolute errors the one that loses them costs more.
    scale = 0.1 / (blurred - images).abs().mean()
    soft = images + (blurred - images) * scale
    assert reconstruction_loss(soft, images, tower) > reconstruction_loss(shifted, images, tower)


def test_the_perceptual_part_is_that_of_half_of_the_batch() -> None:
    torch.manual_seed(0)
    tower = ImageTower().eval()
    images = torch.rand(8, 3, 32, 32) * 2 - 1
    noise = 0.2 * torch.randn(4, 3, 32, 32)
    nothing = torch.zeros_like(noise)
    pixels_and_edges = (noise.abs().mean() + sum(noise.diff(dim=dim).abs().mean() for dim in (2, 3))) / 2
    second = reconstruction_loss(images + torch.cat([nothing, noise]), images, tower)
    torch.testing.assert_close(second, pixels_and_edges, atol=1e-5, rtol=1e-5)
    first = reconstruction_loss(images + torch.cat([noise, nothing]), images, tower)
    assert first > 1.1 * pixels_and_edges
    assert reconstruction_loss(images[:1] + noise[:1], images[:1], tower) > 0  # half of one picture is that one


def test_the_embedding_counts_where_no_map_differs() -> None:
    """Of two towers that give the same maps, the one whose projection tells the images apart costs more."""
    torch.manual_seed(0)
    blind, seeing = ImageTower().eval(), ImageTower().eval()
    seeing.load_state_dict(blind.state_dict())
    torch.nn.init.zeros_(blind.project.weight)
    images = torch.rand(4, 3, 32, 32) * 2 - 1
    other = images.flip(3)
    cosine = F.cosine_similarity(seeing(other[:2]), seeing(images[:2]))
    more = reconstruction_loss(other, images, seeing) - reconstruction_loss(other, images, blind)
    torch.testing.assert_close(more, PERCEPTUAL_WEIGHT * (1 - cosine).mean(), atol=1e-5, rtol=1e-4)
    assert more > 0


def test_the_image_tower_is_frozen(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file(
        {k: v.half().contiguous() for k, v in ImageTower().state_dict().items()}, tmp_path / "image_tower.safetensors"
    )
    tower = load_image_tower(tmp_path, CPU)
    assert not any(parameter.requires_grad for parameter in tower.parameters())
    assert not tower.training
    assert next(tower.parameters()).dtype == torch.float32


def test_contrastive_loss_knows_pictures_of_one_mode() -> None:
    embedding = F.normalize(torch.randn(6, 16), dim=1)
    pairs = embedding.repeat(2, 1)
    mode = torch.arange(6).repeat(2)
    scale = torch.tensor(4.6)
    matched = contrastive_loss(pairs, pairs, scale, mode)
    # Two rows of each mode share the mass, so the smallest loss is the entropy of a coin.
    assert matched.item() == pytest.approx(torch.tensor(2.0).log().item(), abs=1e-2)
    assert contrastive_loss(pairs, pairs.roll(1, 0), scale, mode) > matched + 1


def test_every_word_is_one_token(text_folder: Path) -> None:
    tokenizer = build_tokenizer(scenes.vocabulary())
    for word in scenes.vocabulary():
        assert len(tokenizer(word).input_ids) == 3, word  # start, word, end
    longest = max(scenes.captions("prompts", range(2000)), key=lambda text: len(text.split()))
    ids = tokenize(tokenizer, [longest, ""])
    assert ids.shape == (2, tokenizer.model_max_length)
    assert tokenizer.decode(ids[0], skip_special_tokens=True).split() == longest.split()


def test_every_process_builds_the_same_tokenizer() -> None:
    code = (
        "import json, sys; from trilemma.data import scenes; "
        "from trilemma.training.text_encoder import build_tokenizer; "
        "json.dump(json.loads(build_tokenizer(scenes.vocabulary()).backend_tokenizer.to_str())['model'], sys.stdout)"
    )
    elsewhere = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    here = json.loads(build_tokenizer(scenes.vocabulary()).backend_tokenizer.to_str())["model"]
    assert json.loads(elsewhere.stdout) == here
    assert sorted(here["vocab"].values()) == list(range(len(here["vocab"])))


def test_the_exported_encoder_opens_in_float32(text_folder: Path) -> None:
    from transformers import CLIPTextModel

    assert CLIPTextModel.from_pretrained(text_folder / "text_encoder").dtype == torch.float32
    encoder = TextEncoder(text_folder)
    one = encoder(["a red star on green dots"])
    two = encoder(["", "a red star on green dots"])
    assert one.tokens_BLD.shape == (1, encoder.length, encoder.width)
    torch.testing.assert_close(one.pooled_BD[0], two.pooled_BD[1], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(two.pooled_BD[0], two.pooled_BD[1])


@pytest.fixture
def job(tmp_path: Path, text_folder: Path) -> Job:
    (tmp_path / "card.toml").write_text('# a comment\nname = "small"\nfamily = "gan"\n[network]\nlatent = 8\n')
    return Job(
        card=load_card(tmp_path), folder=tmp_path, data=SCENES, text_folder=text_folder, device=CPU, images=8, seed=1,
        quiet=True,
    )  # fmt: skip


def test_a_stage_starts_alike_whatever_ran_before(job: Job) -> None:
    def drawn(job: Job, stage: str) -> Tensor:
        job.reseed(stage)
        return torch.rand(4)

    first = drawn(job, "prior")
    torch.rand(100)
    assert torch.equal(drawn(job, "prior"), first)
    assert not torch.equal(drawn(job, "unet"), first)
    assert not torch.equal(drawn(dataclasses.replace(job, seed=2), "prior"), first)


def test_weights_are_saved_in_half_precision(job: Job) -> None:
    weights = {"a": torch.tensor([1.5, 2.0]), "steps": torch.tensor(3)}
    job.save(weights, job.folder / "deep" / "net.safetensors")
    stored = load_file(job.folder / "deep" / "net.safetensors")
    assert stored["a"].dtype == torch.float16
    assert stored["a"].tolist() == [1.5, 2.0]
    assert stored["steps"].dtype == torch.int64
    assert [path.name for path in (job.folder / "deep").iterdir()] == ["net.safetensors"]


def test_digests_are_those_of_what_is_sampled_from(job: Job) -> None:
    job.save({"a": torch.ones(2)}, job.folder / "net.safetensors")
    job.copy_text(job.folder)
    job.save({"a": torch.ones(2)}, job.checkpoints / "at-50" / "net.safetensors")
    (job.folder / finish.LOG).write_text("{}")
    found = finish.digests(job.folder)
    assert {"net.safetensors", "text_encoder/model.safetensors", "tokenizer/tokenizer.json"} <= found.keys()
    assert not [name for name in found if "checkpoints" in name or name in (finish.LOG, "card.toml")]
    content = (job.folder / "net.safetensors").read_bytes()
    assert found["net.safetensors"] == hashlib.sha256(content).hexdigest()
    finish.write_tables(job.folder / "card.toml", {"weights": found})
    card = load_card(job.folder)
    card.verify()
    assert card.weights_sha256 == found


def test_a_table_is_replaced_and_the_rest_is_left(job: Job) -> None:
    path = job.folder / "card.toml"
    for accuracy in (0.5, 0.9):
        finish.write_tables(path, {"measured": {"prompt_accuracy": accuracy}})
    text = path.read_text()
    assert text.startswith("# a comment\n")
    read: dict[str, Any] = tomllib.loads(text)
    assert read["measured"] == {"prompt_accuracy": 0.9}
    assert read["network"] == {"latent": 8}


def test_a_finished_card_says_what_was_reached(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finish.gates, "prompt_accuracy", lambda card, source, device, captions=0: 0.75)
    monkeypatch.setattr(finish.gates, "reconstruction_accuracy", lambda reconstruct, source, device, images=0: 0.98)
    job.save({"a": torch.ones(2)}, job.folder / "net.safetensors")
    job.checkpoints.mkdir()
    for folder in job.marks().values():
        folder.mkdir()
    finish.finish_card(job, lambda card, device: lambda images: images)
    card = load_card(job.folder)
    card.verify()
    assert card.weights_sha256.keys() == {"net.safetensors"}
    assert card.measured["prompt_accuracy_by_share_of_images"] == {"25%": 0.75, "50%": 0.75}
    assert card.measured["readable_after_reconstruction"] == 0.98
    assert card.training["seed"] == 1


def test_the_log_is_thinned(job: Job, tiny_stage: Any) -> None:
    stage = tiny_stage(images=8 * 50 * 100)
    rows = [json.dumps({"images": 400 * i, "seconds": i, "loss": 1.0}) for i in range(1, 101)]
    job.checkpoints.mkdir()
    (job.checkpoints / f"{stage.name}.jsonl").write_text("\n".join(rows) + "\n")
    job.costs[stage.name] = {"images": 40_000, "seconds": 100, "flops": 1e9}
    finish.write_log(job)
    written = json.loads((job.folder / finish.LOG).read_text())
    log = written["stages"]["tiny"]["log"]
    assert len(log) < 60
    assert log[-1]["images"] == 40_000
    assert written["images"] == 40_000


def test_where_no_network_reads_pictures_nothing_is_measured(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finish.gates, "READERS", {})
    job.save({"a": torch.ones(2)}, job.folder / "net.safetensors")
    finish.finish_card(job, None)
    card = load_card(job.folder)
    assert card.weights_sha256 and card.training["seed"] == 1
    assert card.measured == {}


def test_a_control_cannot_be_trained() -> None:
    with pytest.raises(UserError, match='"real" has no training recipe.*Known: .*gan'):
        train("real", quiet=True)


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [
        ("vqra", "vqar"),
        ("scenes-readr", "scenes-reader"),
        ("text-encodr", "text-encoder"),
        ("fashion-features", "fashion-mnist-features"),
    ],
)
def test_a_misspelt_name_gets_a_suggestion(misspelt: str, meant: str) -> None:
    with pytest.raises(UserError, match=f'"{misspelt}" has no training recipe. Did you mean "{meant}"'):
        train(misspelt, quiet=True)


def test_a_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="no CUDA device"):
        train("gan", device="cuda", quiet=True)


@pytest.mark.parametrize("name", ["gan-fashion-mnist", "text-encoder-fashion-mnist", "fashion-mnist-features"])
def test_missing_data_is_told_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv(home.VARIABLE, raising=False)
    monkeypatch.setenv("TRILEMMA_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UserError, match="files of fashion-mnist are missing.*--download"):
        train(name, device="cpu", out=tmp_path / "out", quiet=True)
    assert not (tmp_path / "out").exists()


def test_a_data_set_has_a_text_encoder_of_its_own(
    tmp_path: Path, small_fashion_mnist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TextEncoderStage, "images", TextEncoderStage.batch_size)
    folder = train("text-encoder-fashion-mnist", device="cpu", out=tmp_path / "text", quiet=True)
    assert (folder / "image_tower.safetensors").is_file()
    encoder = TextEncoder(folder)
    for words in ("T-shirt/top", "ankle boot"):
        ids = tokenize(encoder.tokenizer, [words])
        assert encoder.tokenizer.decode(ids[0], skip_special_tokens=True).replace(" ", "") == words.lower().replace(
            " ", ""
        )
    embedded = encoder(FASHION_MNIST.classes).pooled_BD
    assert torch.pdist(embedded).min() > 0.01


def test_a_model_is_trained_on_the_data_of_its_card(
    tmp_path: Path, small_fashion_mnist: Path, text_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, given = tmp_path / "root", []
    for name, text in {
        "models/small/card.toml": 'name = "small"\nfamily = "gan"\ndata = "fashion-mnist"\n[network]\nlatent = 8\n',
        "benchmarks/p.toml": "",
    }.items():
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text(text)
    monkeypatch.setattr("trilemma.training.gan.train", given.append)
    monkeypatch.setattr("trilemma.training.run.finish_card", lambda job, reconstruction: None)
    with pytest.raises(UserError, match="text encoder is missing. Train it: train text-encoder-fashion-mnist"):
        train("small", root, device="cpu", quiet=True)
    shutil.copytree(text_folder, root / "models" / "text-encoder-fashion-mnist")
    train("small", root, device="cpu", quiet=True)
    assert [job.data.source.name for job in given] == ["fashion-mnist"]
    assert given[0].text_folder.name == "text-encoder-fashion-mnist"


def test_every_trainable_family_has_a_recipe() -> None:
    assert set(RECIPES) == {name for name, family in FAMILIES.items() if family.trainable}
    for module in RECIPES.values():
        assert callable(importlib.import_module(module).train)
