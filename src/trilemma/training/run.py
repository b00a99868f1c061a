"""``train MODEL``: from a card to weights, with everything that the race fixes for all families."""

from __future__ import annotations

import importlib
from pathlib import Path

import torch

from trilemma import registry
from trilemma.card import Card
from trilemma.data.datasets import OPENERS, open_training_data
from trilemma.errors import UserError, suggest
from trilemma.families.table import trainable
from trilemma.training import class_features, instruments, text_encoder
from trilemma.training.finish import finish_card
from trilemma.training.job import Job
from trilemma.training.split import TrainingSplit
from trilemma.workspace import Workspace, find_workspace

IMAGES = 320_000
SEED = 1
RECIPES = {
    "gan": "trilemma.training.gan",
    "vqar": "trilemma.training.vqar",
    "var": "trilemma.training.var",
    "diffusers": "trilemma.training.latent_diffusion",
}


def text_encoder_of(data: str) -> str:
    """Returns the name of the frozen text encoder that all models of a data set are given."""
    return "text-encoder" if data == "scenes" else f"text-encoder-{data}"


TEXT_ENCODERS = {text_encoder_of(data): data for data in OPENERS}
INSTRUMENTS = (*instruments.RECIPES, class_features.NAME)


def train(
    model: str,
    root: Path | None = None,
    *,
    device: str = "auto",
    out: Path | None = None,
    images: int = IMAGES,
    quiet: bool = False,
    download: bool = False,
) -> Path:
    """Trains one embedded model, or goes on with a training that was cut off.

    Args:
        model: the name of a card of the workspace, of an instrument, or of a text encoder.
        root: the workspace; found if None.
        device: "auto", "cpu" or "cuda".
        out: where the weights go; the card's own folder if None.
        images: what the family sees in all, its tokenizer included. The race's figure unless for a try.
        quiet: no progress bar.
        download: fetch the data set's files where they are missing.

    Returns:
        The folder with the weights, the card and ``training.json``.

    Raises:
        UserError: nothing of that name has a recipe (it suggests the nearest), or the text encoder or the data set is
            missing.
    """
    workspace = find_workspace(root)
    if model in TEXT_ENCODERS:
        data = TrainingSplit(open_training_data(TEXT_ENCODERS[model], download=download))
        return text_encoder.train(out or workspace.models / model, data, _device(device), quiet=quiet)
    if model in INSTRUMENTS:
        home = out or workspace.benchmarks / "instruments" / model
        if model == class_features.NAME:
            return class_features.train(home, _device(device), quiet=quiet, download=download)
        return instruments.train(model, home, _device(device), quiet=quiet)
    return _train_card(_card(model, workspace), workspace, device, out, images, quiet=quiet, download=download)


def _train_card(
    card: Card, workspace: Workspace, device: str, out: Path | None, images: int, *, quiet: bool, download: bool
) -> Path:
    assert card.family is not None, "a card without a family has no recipe"
    data = TrainingSplit(open_training_data(card.data, download=download))
    name = text_encoder_of(card.data)
    text_folder = workspace.models / name
    if not (text_folder / "text_encoder").is_dir():
        hint = f"Train it: train {name}."
        raise UserError("the frozen text encoder is missing.", where=str(text_folder), hint=hint)
    folder = out or card.path
    job = Job(
        card=card, folder=folder, data=data, text_folder=text_folder, device=_device(device), images=images, seed=SEED,
        quiet=quiet,
    )  # fmt: skip
    torch.manual_seed(SEED)
    assert card.family is not None
    recipe = importlib.import_module(RECIPES[card.family])
    recipe.train(job)
    finish_card(job, getattr(recipe, "reconstruction", None))
    return folder


def _card(model: str, workspace: Workspace) -> Card:
    card = registry.find_card(model, workspace) if model in registry.model_names(workspace) else None
    if card is None or not trainable(card):
        models = [name for name, other in registry.cards(workspace).items() if trainable(other)]
        known = [*models, *INSTRUMENTS, *TEXT_ENCODERS]
        raise UserError(f'"{model}" has no training recipe.', hint=suggest(model, known))
    return card


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("there is no CUDA device here.", where="--device")
    return torch.device(name)
