"""Cards that nobody wrote: of a folder that diffusers opens, and of such a folder that was fetched from the hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trilemma.card import Card
from trilemma.families.diffusers_files import INDEX
from trilemma.families.hub import is_repository, snapshot
from trilemma.identity import file_digest

# Of a transformer that does not say how large its latents are: FLUX, whose pipeline has the number in its code.
LATENT_SIDE = 128


def pipeline_card(folder: Path) -> Card:
    """Returns a card for a folder with an index of diffusers; every file in it counts as weights."""
    folder = folder.resolve()
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not _hidden(path, folder))
    return Card(
        name=_as_name(folder.name),
        family="diffusers",
        title=f"{_class_name(folder)} in {folder.name}",
        resolution=_side(folder),
        weights_sha256={path.relative_to(folder).as_posix(): file_digest(path) for path in files},
        path=folder,
    )


def hub_card(name: str) -> Card | None:
    """Returns a card for a repository ``owner/name`` that was fetched, pinned to the commit that lies here."""
    folder = snapshot(name) if is_repository(name) else None
    if folder is None or not (folder / INDEX).is_file():
        return None
    return Card(
        name=_as_name(name.partition("/")[2]),
        family="diffusers",
        title=f"{_class_name(folder)}, {name}",
        resolution=_side(folder),
        options={"hub": name, "revision": folder.name},
        path=folder,
    )


def unfetched_card(name: str) -> Card:
    """Returns a card for a repository ``owner/name``, good for nothing but to be fetched."""
    return Card(name=_as_name(name), family="diffusers", options={"hub": name}, path=Path.cwd())


def _class_name(folder: Path) -> str:
    return str(_read(folder / INDEX).get("_class_name", "diffusers pipeline"))


def _side(folder: Path) -> int:
    """The latent size of the denoiser times the autoencoder's downsampling, as diffusers itself computes it."""
    denoiser, autoencoder = _config(folder, "unet", "transformer"), _config(folder, "vae", "vqvae")
    side = denoiser.get("sample_size", LATENT_SIDE)
    widths = autoencoder.get("encoder_block_out_channels") or autoencoder.get("block_out_channels") or [None]
    downsampling: int = 1 << (len(widths) - 1)
    return int(side[0] if isinstance(side, list) else side) * downsampling


def _config(folder: Path, *names: str) -> dict[str, Any]:
    """The settings of the first of these parts that is there; a pipeline of one network may keep them at its top."""
    for path in (folder / name / "config.json" for name in names):
        if path.is_file():
            return _read(path)
    top = folder / "config.json"
    return _read(top) if "unet" in names and top.is_file() else {}


def _read(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _as_name(text: str) -> str:
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in text.lower()).strip("-")
    return name or "pipeline"
