"""One tiny model per family, made by the family's own training recipe: a few steps, weights next to random."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from trilemma.card import Card, load_card
from trilemma.data import scenes
from trilemma.training import reconstruction, text_encoder
from trilemma.training.job import Job

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
    folder = tmp_path_factory.mktemp("text-encoder")
    torch.manual_seed(0)
    stage = text_encoder.TextEncoderStage(torch.device("cpu"), width=32)
    # The recipes build the image tower at its own width.
    weights = {"text": stage.text.state_dict(), "image": text_encoder.ImageTower().state_dict()}
    text_encoder.export(stage, weights, folder)
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, text_folder: Path) -> Callable[[str], Card]:
    """Trains a tiny model of a family the first time that it is asked for."""
    root = tmp_path_factory.mktemp("models")
    done: dict[str, Card] = {}

    def train(name: str) -> Card:
        if name not in done:
            done[name] = _train(root / name, name, text_folder)
        return done[name]

    return train


def _train(folder: Path, name: str, text_folder: Path) -> Card:
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
        if has_tokenizer:
            patch.setattr(recipe, "IMAGES", TOKENIZER_IMAGES)
        images = PRIOR_IMAGES + (TOKENIZER_IMAGES if has_tokenizer else 0)
        torch.manual_seed(1)
        device = torch.device("cpu")
        job = Job(card=card, folder=folder, text_folder=text_folder, device=device, images=images, seed=1, quiet=True)
        recipe.train(job)
    return card
