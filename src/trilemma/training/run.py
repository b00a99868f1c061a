"""``train MODEL``: from a card to weights, with everything that the race fixes for all families."""

from __future__ import annotations

import importlib
from pathlib import Path

import torch

from trilemma import registry
from trilemma.card import Card
from trilemma.errors import UserError, suggest
from trilemma.training import instruments, text_encoder
from trilemma.training.finish import finish_card
from trilemma.training.job import Job
from trilemma.workspace import Workspace, find_workspace

IMAGES = 320_000
SEED = 1
RECIPES = {
    "gan": "trilemma.training.gan",
    "vqar": "trilemma.training.vqar",
    "var": "trilemma.training.var",
    "diffusers": "trilemma.training.latent_diffusion",
}
TEXT_ENCODER = "text-encoder"


def train(
    model: str,
    root: Path | None = None,
    *,
    device: str = "auto",
    out: Path | None = None,
    images: int = IMAGES,
    quiet: bool = False,
) -> Path:
    """Trains one embedded model, or goes on with a training that was cut off.

    Args:
        model: the name of a card of the workspace, of an instrument of Scenes, or "text-encoder".
        root: the workspace; found if None.
        device: "auto", "cpu" or "cuda".
        out: where the weights go; the card's own folder if None.
        images: what the family sees in all, its tokenizer included. The race's figure unless for a try.
        quiet: no progress bar.

    Returns:
        The folder with the weights, the card and ``training.json``.

    Raises:
        UserError: nothing of that name has a recipe (it suggests the nearest), or the text encoder is missing.
    """
    workspace = find_workspace(root)
    if model == TEXT_ENCODER:
        return text_encoder.train(out or workspace.models / TEXT_ENCODER, _device(device), quiet=quiet)
    if model in instruments.RECIPES:
        home = workspace.benchmarks / "instruments" / model
        return instruments.train(model, out or home, _device(device), quiet=quiet)
    card = _card(model, workspace)
    assert card.family is not None, "a card without a family has no recipe"
    text_folder = workspace.models / TEXT_ENCODER
    if not (text_folder / "text_encoder").is_dir():
        raise UserError("the frozen text encoder is missing.", where=str(text_folder))
    folder = out or card.path
    job = Job(
        card=card, folder=folder, text_folder=text_folder, device=_device(device), images=images, seed=SEED, quiet=quiet
    )
    torch.manual_seed(SEED)
    recipe = importlib.import_module(RECIPES[card.family])
    recipe.train(job)
    finish_card(job, getattr(recipe, "reconstruction", None))
    return folder


def _card(model: str, workspace: Workspace) -> Card:
    card = registry.find_card(model, workspace) if model in registry.model_names(workspace) else None
    if card is None or not _has_recipe(card):
        trainable = [name for name, other in registry.cards(workspace).items() if _has_recipe(other)]
        known = [*trainable, *instruments.RECIPES, TEXT_ENCODER]
        raise UserError(f'"{model}" has no training recipe.', hint=suggest(model, known))
    return card


def _has_recipe(card: Card) -> bool:
    return card.family in RECIPES and bool(card.network) and not card.random_weights


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("there is no CUDA device here.", where="--device")
    return torch.device(name)
