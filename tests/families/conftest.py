"""One tiny model per family, made by the family's own training recipe: a few steps, weights next to random."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from rich.console import Console

from trilemma.card import Card, load_card
from trilemma.data import scenes
from trilemma.data.datasets import TrainingData
from trilemma.data.scenes_data import ScenesData
from trilemma.protocol import load_protocol
from trilemma.runner.display import Display
from trilemma.runner.run import Request, run_benchmark
from trilemma.store.run import Run
from trilemma.training import reconstruction, text_encoder
from trilemma.training.job import Job
from trilemma.training.split import TrainingSplit

RECORDED = """
name = "recorded"
version = 1
title = "What a run records of any model"
data = "mnist"
resolution = 32
outputs = "resized"
batch_size = 4
metrics = []
[[sets]]
name = "prompted"
prompts = "classes"
images = 10
[[sets]]
name = "unconditional"
prompts = "none"
images = 6
[speed]
batch_sizes = [1, 2]
min_seconds = 0.001
min_calls = 2
budget_seconds = 5.0
"""
DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
Record = Callable[[Card], Run]
TrainTiny = Callable[[Path, str, TrainingData, Path], Card]
TOKENIZER_IMAGES = 64
PRIOR_IMAGES = 64
TRAIN_IMAGES = 128
NETWORKS = {
    "gan": "widths = [16, 16, 16]\nblocks = [1, 1, 1]\ndiscriminator_widths = [16, 16, 16]\n"
    "discriminator_blocks = [1, 1, 1]\nlatent = 8\nmapping = 16\ncomponents = 16",
    "vqar": "channels = 32\nmultipliers = [1, 1, 1]\nlatent = 8\nlevels = [4, 4, 4]\nlayers = 2\nheads = 2\nwidth = 32",
    "var": "channels = 32\nmultipliers = [1, 1, 1]\nlatent = 8\ncodes = 32\ndepth = 2\nheads = 2\nwidth = 32",
    "ldm": "channels = [16, 16, 16]\nunet_channels = [16, 16]\nheads = 2",
}
RECIPES = {"gan": "gan", "vqar": "vqar", "var": "var", "ldm": "latent_diffusion"}
FAMILIES = {"gan": "gan", "vqar": "vqar", "var": "var", "ldm": "diffusers"}


@pytest.fixture(scope="session")
def text_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text encoder and its image tower, untrained, as training writes them."""
    return write_text_encoder(tmp_path_factory.mktemp("text-encoder"), ScenesData())


@pytest.fixture(scope="session")
def write_text_folder() -> Callable[[Path, TrainingData], Path]:
    return write_text_encoder


@pytest.fixture(scope="session")
def train_tiny() -> TrainTiny:
    """Trains a tiny model of a family on a data set, into a folder."""
    return train_in_a_few_steps


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, text_folder: Path) -> Callable[[str], Card]:
    """Trains a tiny model of a family on Scenes the first time that it is asked for."""
    root = tmp_path_factory.mktemp("models")
    done: dict[str, Card] = {}

    def train(name: str) -> Card:
        if name not in done:
            done[name] = train_in_a_few_steps(root / name, name, ScenesData(), text_folder)
        return done[name]

    return train


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Record:
    """Runs a model in a process of its own, as the command does, under a protocol that asks for digits; no network.

    One that knows classes by number gets the digits' names for its first ten.
    """
    for name in ("HF_ENDPOINT", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (tmp_path / "recorded.toml").write_text(RECORDED)

    def run(card: Card) -> Run:
        if (known := card.options.get("classes")) is not None:
            names = DIGITS + [f"another {number}" for number in range(10, len(known))]
            card = replace(card, options=card.options | {"classes": names})
        request = Request(
            protocol=load_protocol(tmp_path / "recorded.toml"), cards=(card,), runs=tmp_path / "runs",
            cache=tmp_path / "cache", device="cpu",
        )  # fmt: skip
        return run_benchmark(request, Display(Console(stderr=True), quiet=True))

    return run


def write_text_encoder(folder: Path, source: TrainingData) -> Path:
    torch.manual_seed(0)
    stage = text_encoder.TextEncoderStage(TrainingSplit(source), torch.device("cpu"), width=32)
    # The recipes build the image tower at its own width.
    weights = {"text": stage.text.state_dict(), "image": text_encoder.ImageTower().state_dict()}
    text_encoder.export(stage, weights, folder)
    return folder


def train_in_a_few_steps(folder: Path, name: str, source: TrainingData, text_folder: Path) -> Card:
    folder.mkdir()
    card_text = f'name = "{name}"\nfamily = "{FAMILIES[name]}"\n[network]\n{NETWORKS[name]}\n'
    (folder / "card.toml").write_text(card_text)
    card = load_card(folder)
    recipe = importlib.import_module(f"trilemma.training.{RECIPES[name]}")
    has_tokenizer = hasattr(recipe, "IMAGES")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scenes, "TRAIN_IMAGES", TRAIN_IMAGES)
        patch.setattr(reconstruction.ReconstructionStage, "images", TOKENIZER_IMAGES)
        patch.setattr("trilemma.training.token_cache.BATCH", TRAIN_IMAGES)
        # The losses are compared with stored ones: the arithmetic must be that of every machine.
        patch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
        if has_tokenizer:
            patch.setattr(recipe, "IMAGES", TOKENIZER_IMAGES)
        images = PRIOR_IMAGES + (TOKENIZER_IMAGES if has_tokenizer else 0)
        torch.manual_seed(1)
        job = Job(
            card=card, folder=folder, data=TrainingSplit(source), text_folder=text_folder, device=torch.device("cpu"),
            images=images, seed=1, quiet=True,
        )  # fmt: skip
        recipe.train(job)
    return card
