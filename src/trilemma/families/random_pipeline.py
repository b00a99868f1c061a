"""A Stable Diffusion pipeline of the published architecture whose weights are random: no hub and no vocabulary needed.

The card's [network] writes text encoder, denoiser, autoencoder and scheduler out; diffusers' own pipeline runs them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from trilemma.errors import UserError
from trilemma.families.diffusers_parts import AUTOENCODERS, SCHEDULERS, build_part
from trilemma.families.random_weights import random_network
from trilemma.identity import digest

if TYPE_CHECKING:
    from trilemma.card import Card


class StandInTokenizer:
    """Token ids without a vocabulary: a word is its digest, modulo the ids that stand for words.

    A text is the start, its words and the end, padded with the end, as CLIP's tokenizer has it, and cut at ``length``.
    Part of the interface of transformers' tokenizers: what the pipeline calls.
    """

    added_tokens_encoder: Mapping[str, int] = {}

    def __init__(self, vocabulary: int, length: int) -> None:
        self.start, self.end = vocabulary - 2, vocabulary - 1
        self.model_max_length = length

    def tokenize(self, text: str) -> list[str]:
        """Returns the words."""
        return text.lower().split()

    def __call__(self, texts: str | Sequence[str], *, padding: str, **options: Any) -> SimpleNamespace:
        """Returns ``input_ids``, int64 ``(B, L)``: L is ``length``, or the longest text's with padding "longest"."""
        rows = [self._ids(text) for text in ([texts] if isinstance(texts, str) else texts)]
        length = self.model_max_length if padding == "max_length" else max(map(len, rows))
        padded = [row + [self.end] * (length - len(row)) for row in rows]
        return SimpleNamespace(input_ids=torch.tensor(padded))

    def _ids(self, text: str) -> list[int]:
        words = [int(digest(["word", word])[:16], 16) % self.start for word in self.tokenize(text)]
        return [self.start, *words[: self.model_max_length - 2], self.end]


def build_text_encoder(card: Card) -> Any:
    """Returns transformers' CLIPTextModel as ``[network.text_encoder]`` describes it, untrained."""
    from transformers import CLIPTextConfig, CLIPTextModel

    given = card.network.get("text_encoder")
    if not isinstance(given, Mapping):
        raise UserError("this table is missing.", where=f"{card.path}: network.text_encoder")
    return CLIPTextModel(CLIPTextConfig(**given))


def parts(card: Card) -> dict[str, nn.Module]:
    """Returns the whole networks by the names of the card's ``[[parts]]``."""
    return {
        "text_encoder": build_text_encoder(card),
        "denoiser": build_part(card, "denoiser", ("UNet2DConditionModel",)),
        "autoencoder": build_part(card, "autoencoder", AUTOENCODERS[:1]),
    }


def random_pipeline(card: Card, device: str) -> Any:
    """Returns a StableDiffusionPipeline on the device, in the card's precision."""
    from diffusers import StableDiffusionPipeline

    denoiser = partial(build_part, card, "denoiser", ("UNet2DConditionModel",))
    text_encoder = random_network("text_encoder", partial(build_text_encoder, card), card, device)
    return StableDiffusionPipeline(  # type: ignore[no-untyped-call]
        text_encoder=text_encoder,
        tokenizer=StandInTokenizer(text_encoder.config.vocab_size, text_encoder.config.max_position_embeddings),
        unet=random_network("denoiser", denoiser, card, device),
        vae=random_network("autoencoder", partial(build_part, card, "autoencoder", AUTOENCODERS[:1]), card, device),
        scheduler=build_part(card, "scheduler", SCHEDULERS),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
