"""``fetch``: downloads what a model needs, once, because somebody asked for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trilemma.cli.options import Root, people


def fetch(
    model: Annotated[str, typer.Argument(help="A model whose card names a repository, or OWNER/NAME of the hub.")],
    root: Root = None,
) -> None:
    """Downloads a model's files from the Hugging Face hub into its cache. Nothing else downloads models.

    Example: trilemma fetch sdxl-turbo
    """
    from trilemma.at_hand import fetch as fetch_card
    from trilemma.families.diffusers_cards import unfetched_card
    from trilemma.families.hub import is_repository
    from trilemma.registry import find_card
    from trilemma.workspace import find_workspace

    is_path = Path(model).expanduser().exists()  # of a card: "models/mine" looks like a repository
    of_hub = is_repository(model) and not is_path
    card = unfetched_card(model) if of_hub else find_card(model, find_workspace(root))
    people().print(f"Fetched: {fetch_card(card)}", soft_wrap=True, markup=False)
