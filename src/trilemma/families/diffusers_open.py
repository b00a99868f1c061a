"""Opens a diffusers pipeline as data: safetensors alone, and no class that diffusers and transformers do not bring.

A safety checker is left out, and so is a watermark: both would alter images, the latter wherever its package happens to
be installed.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from trilemma.errors import UserError
from trilemma.families.class_labels import Names, named_in_texts
from trilemma.families.diffusers_files import INDEX, lora_file, missing, option, pipeline_folder
from trilemma.families.hub import first_line, refused
from trilemma.families.lora import merge_lora
from trilemma.families.preparing import DTYPES

if TYPE_CHECKING:
    from trilemma.card import Card

LIBRARIES = ("diffusers", "transformers")


def open_pipeline(card: Card) -> Any:
    """Returns the pipeline of a card on the CPU, its LoRA merged into its weights.

    What comes from the hub is read in the card's precision, for it may be large; a folder's is read in float32.

    Raises:
        UserError: files are missing, are no safetensors, or want code of their own to be run.
    """
    if (absent := missing(card)) is not None:
        raise absent
    folder = pipeline_folder(card)
    assert folder is not None
    pipeline = _opened(folder, _index(folder), card)
    _leave_unscaled(pipeline, folder)
    if (lora := lora_file(card)) is not None:
        merge_lora(pipeline, lora, _lora_scale(card))
    if getattr(pipeline, "watermark", None) is not None:
        pipeline.watermark = None
    return pipeline


def class_names_of_index(card: Card, classes: int) -> Names:
    """Returns the names of classes as the index of a card's pipeline tells them; one may have several."""
    folder = pipeline_folder(card)
    told = _index(folder).get("id2label", {}) if folder is not None else {}
    return named_in_texts([str(told.get(str(number), "")) for number in range(classes)])


def fetch(card: Card) -> Path:
    """Downloads what the pipeline of a card's repository needs into the hub's cache, and returns the folder.

    Raises:
        UserError: the card names no repository, or the hub refuses.
    """
    from diffusers import DiffusionPipeline

    hub = option(card, "hub")
    if hub is None:
        raise UserError(f'the card of "{card.name}" names no repository: options.hub.', where=str(card.path))
    try:
        return Path(
            DiffusionPipeline.download(
                hub, revision=option(card, "revision"), variant=option(card, "variant"), use_safetensors=True
            )
        )
    except Exception as error:  # of the hub's client, the network, or diffusers
        raise refused(hub, error) from error


def _opened(folder: Path, index: Mapping[str, Any], card: Card) -> Any:
    import diffusers

    dtype = DTYPES[card.precision] if option(card, "hub") is not None else torch.float32
    variant = option(card, "variant")
    try:
        return diffusers.DiffusionPipeline.from_pretrained(  # type: ignore[no-untyped-call]
            folder,
            dtype=dtype,
            local_files_only=True,
            use_safetensors=True,
            **_left_out(index),
            **({} if variant is None else {"variant": variant}),
        )
    except (OSError, ValueError, AttributeError, ImportError) as error:
        hint = "Its weights must be there as safetensors; fetch it again if it was fetched in part."
        raise UserError(f"the pipeline cannot be opened: {first_line(error)}", where=str(folder), hint=hint) from error


def _leave_unscaled(pipeline: Any, folder: Path) -> None:
    """LDMPipeline divides latents by the factor of its autoencoder; one that states none was trained without one.

    diffusers would fill in Stable Diffusion's, 0.18215: it divides since https://github.com/huggingface/diffusers/pull/5213,
    and CompVis/ldm-celebahq-256 shows noise since then (https://github.com/huggingface/diffusers/issues/6725).
    """
    if type(pipeline).__name__ != "LDMPipeline":
        return
    stored = json.loads((folder / "vqvae" / "config.json").read_text(encoding="utf-8"))
    if "scaling_factor" not in stored:
        pipeline.vqvae.register_to_config(scaling_factor=1.0)


def _index(folder: Path) -> dict[str, Any]:
    """The index, once it is sure that it names nothing but classes of the two libraries."""
    import diffusers

    where = str(folder / INDEX)
    try:
        index: dict[str, Any] = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except ValueError:
        raise UserError("this is no readable JSON.", where=where) from None
    name = index.get("_class_name")
    if not isinstance(name, str) or not name.endswith("Pipeline") or not hasattr(diffusers, name):
        raise UserError(f"{name!r} is no pipeline of diffusers; a pipeline's own code is not run.", where=where)
    for part, made_of in index.items():
        if isinstance(made_of, list) and made_of and not _is_known(made_of[0]):
            raise UserError(f'"{part}" is of "{made_of[0]}"; code that comes with weights is not run.', where=where)
    return index


def _is_known(library: object) -> bool:
    """Whether a part is left out, or is of a library whose code came with this suite."""
    import diffusers

    return library is None or library in LIBRARIES or hasattr(diffusers.pipelines, str(library))


def _left_out(index: Mapping[str, Any]) -> dict[str, Any]:
    """What a pipeline is opened without: parts that its index leaves out, which some want to be told, and a checker."""
    import diffusers

    takes = inspect.signature(getattr(diffusers, index["_class_name"]).__init__).parameters
    absent = dict.fromkeys(part for part, made_of in index.items() if made_of == [None, None])
    given = absent | {"safety_checker": None, "requires_safety_checker": False}
    return {name: value for name, value in given.items() if name in takes}


def _lora_scale(card: Card) -> float:
    scale = card.options.get("lora_scale", 1.0)
    if isinstance(scale, bool) or not isinstance(scale, (int, float)):
        raise UserError(f"must be a number, got {scale!r}.", where=f"{card.path}: options.lora_scale")
    return float(scale)
