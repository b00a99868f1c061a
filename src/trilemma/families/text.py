"""The frozen text encoder that the embedded families share: a transformers CLIPTextModel folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer


@dataclass(frozen=True, kw_only=True)
class TextEmbedding:
    """``tokens_BLD``: one state per token, padding included; ``pooled_BD``: the state at the end of the text."""

    tokens_BLD: Tensor
    pooled_BD: Tensor


class TextEncoder(nn.Module):
    """Tokenizer and text tower, read from a folder that holds ``text_encoder/`` and ``tokenizer/``.

    Texts are padded to the tokenizer's ``model_max_length`` and longer ones are cut there, as Stable Diffusion does.
    ``empty_1D`` is the pooled embedding of the empty prompt, which guidance needs in every call.
    """

    empty_1D: Tensor

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
        tower = CLIPTextModel.from_pretrained(folder / "text_encoder", local_files_only=True, dtype=torch.float32)
        self.tower = tower.eval().requires_grad_(False)  # type: ignore[no-untyped-call]
        self.register_buffer("empty_1D", self([""]).pooled_BD, persistent=False)

    @property
    def width(self) -> int:
        """The number of channels D of an embedding."""
        return int(self.tower.config.hidden_size)

    @property
    def length(self) -> int:
        """The number of tokens L that every text is padded or cut to."""
        return int(self.tokenizer.model_max_length)

    @torch.no_grad()
    def pooled(self, prompts: Sequence[str]) -> Tensor:
        """Returns the pooled embeddings ``(B, D)``; nothing is run for empty prompts alone."""
        return self(prompts).pooled_BD if any(prompts) else self.empty_1D.expand(len(prompts), -1)

    @torch.no_grad()
    def forward(self, prompts: Sequence[str]) -> TextEmbedding:
        """Returns the embedding of B prompts; ``""`` is a text like any other."""
        ids_BL = tokenize(self.tokenizer, prompts).to(self.tower.device)
        output = self.tower(input_ids=ids_BL)
        return TextEmbedding(tokens_BLD=output.last_hidden_state, pooled_BD=output.pooler_output)


def tokenize(tokenizer: CLIPTokenizer, prompts: Sequence[str]) -> Tensor:
    """Returns int64 token ids ``(B, L)`` with L = ``model_max_length``."""
    batch = tokenizer(
        list(prompts), padding="max_length", max_length=tokenizer.model_max_length, truncation=True, return_tensors="pt"
    )
    ids: Tensor = batch["input_ids"]
    return ids
