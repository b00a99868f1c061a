"""OpenAI's CLIP from the files that ``transformers`` reads: projected image features, and text features beside them.

Source: Radford et al., arXiv 2103.00020. The network is that of ``transformers``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel

from trilemma.errors import UserError

HEAD_WIDTH = 64
END = "<|endoftext|>"


class CLIP(nn.Module):
    """Pixels ``(B, 3, size, size)``, CLIP-normalised, to projected features; prompts to theirs, given a tokenizer."""

    def __init__(self, tensors: Mapping[str, Tensor], tokenizer: Tokenizer | None = None) -> None:
        super().__init__()
        config, context = config_of(tensors)
        with torch.random.fork_rng(devices=()):  # its initial weights are drawn, and replaced at once
            model = CLIPModel(config)
        model.load_state_dict({name: tensor for name, tensor in tensors.items() if not name.endswith("position_ids")})
        self.width: int = model.visual_projection.out_features
        self.vision, self.visual_projection = model.vision_model, model.visual_projection
        self.tokenizer = tokenizer
        if tokenizer is not None:
            self.text, self.text_projection = model.text_model, model.text_projection
            _fix_length(tokenizer, context)

    def forward(self, pixels_B3HW: Tensor) -> dict[str, Tensor]:
        """Returns ``features`` (B, width): projected, their length kept."""
        return {"features": self.visual_projection(self.vision(pixel_values=pixels_B3HW).pooler_output)}

    def texts(self, prompts: Sequence[str]) -> Tensor:
        """Returns ``(B, width)``: projected, their length kept; prompts are cut at the length of the context."""
        assert self.tokenizer is not None
        ids = [encoding.ids for encoding in self.tokenizer.encode_batch(list(prompts))]
        tokens = torch.tensor(ids, device=self.text_projection.weight.device)
        features: Tensor = self.text_projection(self.text(input_ids=tokens).pooler_output)
        return features


def clip_from(tensors: Mapping[str, Tensor], tokenizer: Path | None, where: Path) -> CLIP:
    """Returns the frozen network, with its text tower if the tokenizer's file is given.

    Raises:
        UserError: the tensors are not those of a CLIP, or the tokenizer cannot be read.
    """
    try:
        return CLIP(tensors, _tokenizer(tokenizer)).eval().requires_grad_(False)
    except (KeyError, ValueError, RuntimeError) as error:
        raise UserError("these are not the weights of a CLIP.", where=str(where)) from error


def config_of(tensors: Mapping[str, Tensor]) -> tuple[CLIPConfig, int]:
    """Returns the architecture as its weights tell it, and the longest text in tokens.

    Heads are 64 wide in every CLIP that OpenAI published.
    """
    context = tensors["text_model.embeddings.position_embedding.weight"].shape[0]
    tokens, width = tensors["text_model.embeddings.token_embedding.weight"].shape
    patches = tensors["vision_model.embeddings.position_embedding.weight"].shape[0] - 1
    patch_weight = tensors["vision_model.embeddings.patch_embedding.weight"]
    text = {
        "vocab_size": tokens,
        "bos_token_id": tokens - 2,
        "eos_token_id": tokens - 1,
        "pad_token_id": tokens - 1,
        "max_position_embeddings": context,
    }
    vision = {"patch_size": patch_weight.shape[-1], "image_size": round(patches**0.5) * patch_weight.shape[-1]}
    config = CLIPConfig(
        text_config=text | _tower(tensors, "text_model", width),
        vision_config=vision | _tower(tensors, "vision_model", patch_weight.shape[0]),
        projection_dim=tensors["visual_projection.weight"].shape[0],
    )
    return config, context


def _tower(tensors: Mapping[str, Tensor], tower: str, width: int) -> dict[str, int | str]:
    layers = {name.split(".")[3] for name in tensors if name.startswith(f"{tower}.encoder.layers.")}
    return {
        "hidden_size": width,
        "intermediate_size": tensors[f"{tower}.encoder.layers.0.mlp.fc1.weight"].shape[0],
        "num_hidden_layers": len(layers),
        "num_attention_heads": width // HEAD_WIDTH,
        "projection_dim": tensors["visual_projection.weight"].shape[0],
        "hidden_act": "quick_gelu",
    }


def _tokenizer(path: Path | None) -> Tokenizer | None:
    if path is None:
        return None
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exceptions
        raise UserError(f"this tokenizer cannot be read: {error}.", where=str(path)) from None


def _fix_length(tokenizer: Tokenizer, length: int) -> None:
    """Every prompt gets the same length, so that no batch mate changes a shape; the first end token is the one read."""
    tokenizer.enable_truncation(length)
    tokenizer.enable_padding(pad_id=tokenizer.token_to_id(END), pad_token=END, length=length)
