"""Adapters of low rank: merged, in each of the spellings that files have, and refused where they do not fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from trilemma import at_hand
from trilemma.card import Card
from trilemma.errors import UserError
from trilemma.families.diffusers_files import pinned
from trilemma.families.diffusers_pipeline import load
from trilemma.identity import file_digest

Pipelines = Callable[[str], Card]
LAYER = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
RANK = 2


@pytest.fixture
def factors(pipelines: Pipelines) -> tuple[Tensor, Tensor]:
    """A ``(r, in)`` and B ``(out, r)`` for LAYER."""
    torch.manual_seed(1)
    weight = weight_of(load(pipelines("sd"), "cpu").pipeline.unet)
    return torch.randn(RANK, weight.shape[1]), torch.randn(weight.shape[0], RANK)


def weight_of(unet: Any) -> Tensor:
    return unet.get_submodule(LAYER).weight.detach().clone()


def header_of(said: dict[str, Any]) -> dict[str, str]:
    """As diffusers writes it."""
    return {"format": "pt", "lora_adapter_metadata": json.dumps(said, indent=2, sort_keys=True)}


def with_lora(
    card: Card, path: Path, tensors: dict[str, Tensor], header: dict[str, str] | None = None, **options: Any
) -> Card:
    save_file({name: value.contiguous() for name, value in tensors.items()}, path, metadata=header)
    return replace(card, options={"lora": str(path), **options})


SPELLINGS = {
    "peft": ("unet.{dotted}.lora_A.weight", "unet.{dotted}.lora_B.weight", None),
    "diffusers": ("unet.{dotted}.lora.down.weight", "unet.{dotted}.lora.up.weight", None),
    "processor": ("unet.{block}.processor.to_q_lora.down.weight", "unet.{block}.processor.to_q_lora.up.weight", None),
    "kohya": ("lora_unet_{under}.lora_down.weight", "lora_unet_{under}.lora_up.weight", "lora_unet_{under}.alpha"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("scale", (1.0, 0.25))
def test_every_spelling_adds_the_same(
    pipelines: Pipelines, factors: tuple[Tensor, Tensor], tmp_path: Path, spelling: str, scale: float
) -> None:
    down, up = factors
    names = {"dotted": LAYER, "under": LAYER.replace(".", "_"), "block": LAYER.removesuffix(".to_q")}
    first, second, alpha = (name and name.format(**names) for name in SPELLINGS[spelling])
    assert first and second
    tensors = {first: down, second: up} | ({alpha: torch.tensor(3.0)} if alpha else {})
    card = with_lora(pipelines("sd"), tmp_path / "lora.safetensors", tensors, lora_scale=scale)
    before = weight_of(load(pipelines("sd"), "cpu").pipeline.unet)
    after = weight_of(load(card, "cpu").pipeline.unet)
    share = 3.0 / RANK if alpha else 1.0  # alpha / r, and alpha is r where it is not said
    torch.testing.assert_close(after - before, scale * share * up @ down, atol=1e-5, rtol=1e-5)


PEFT = [ending.format(dotted=LAYER) for ending in SPELLINGS["peft"][:2]]
ROOT, BLOCK = RANK**0.5, LAYER.removesuffix(".to_q")


@pytest.mark.parametrize(
    ("said", "share"),
    [
        ({"r": RANK, "lora_alpha": 6}, 6 / RANK),
        ({"r": RANK, "lora_alpha": 6, "use_rslora": True}, 6 / ROOT),
        ({"r": 8, "rank_pattern": {"to_q": RANK}, "lora_alpha": 6}, 6 / RANK),
        ({"r": RANK, "lora_alpha": 6, "alpha_pattern": {LAYER: 10.0}}, 10 / RANK),
        ({"r": RANK, "lora_alpha": 6, "alpha_pattern": {"to_k": 7, "attn1.to_[qv]": 10}}, 10 / RANK),
        ({"r": RANK, "lora_alpha": 6, "alpha_pattern": {"o_q": 10, "^attn1.to_q": 11, BLOCK: 12}}, 6 / RANK),
        ({"r": RANK, "lora_alpha": 6, "alpha_pattern": {f"^{LAYER}": 10}, "use_rslora": True}, 10 / ROOT),
        ({}, 1.0),
    ],
)  # fmt: skip
def test_alpha_may_be_in_the_header_alone(
    pipelines: Pipelines, factors: tuple[Tensor, Tensor], tmp_path: Path, said: dict[str, Any], share: float
) -> None:
    down, up = factors
    header = header_of({f"unet.{name}": value for name, value in said.items()} | {"text_encoder.lora_alpha": 99})
    card = with_lora(pipelines("sd"), tmp_path / "lora.safetensors", dict(zip(PEFT, factors, strict=True)), header)
    before = weight_of(load(pipelines("sd"), "cpu").pipeline.unet)
    after = weight_of(load(card, "cpu").pipeline.unet)
    torch.testing.assert_close(after - before, share * up @ down, atol=1e-5, rtol=1e-5)


def test_a_layers_own_alpha_comes_before_the_headers(
    pipelines: Pipelines, factors: tuple[Tensor, Tensor], tmp_path: Path
) -> None:
    down, up = factors
    tensors = dict(zip(PEFT, factors, strict=True)) | {f"unet.{LAYER}.alpha": torch.tensor(3.0)}
    header = header_of({"unet.r": RANK, "unet.lora_alpha": 6})
    card = with_lora(pipelines("sd"), tmp_path / "lora.safetensors", tensors, header)
    before = weight_of(load(pipelines("sd"), "cpu").pipeline.unet)
    after = weight_of(load(card, "cpu").pipeline.unet)
    torch.testing.assert_close(after - before, 3 / RANK * up @ down, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("{", "no readable JSON"),
        pytest.param("[" * 100_000, "no readable JSON", id="too deep"),
        ("[1]", "no object with names and values"),
        ('{"unet.r": 2}', "unet.lora_alpha: must be a number, got None"),
        ('{"unet.lora_alpha": "6"}', "unet.lora_alpha: must be a number, got '6'"),
        ('{"unet.lora_alpha": NaN}', "unet.lora_alpha: must be a number, got nan"),
        ('{"unet.lora_alpha": 6, "unet.r": true}', "unet.r: must be a number, got True"),
        ('{"unet.lora_alpha": 6, "unet.use_rslora": 1}', "unet.use_rslora: must be true or false, got 1"),
        ('{"unet.lora_alpha": 6, "unet.alpha_pattern": [1]}', r"unet.alpha_pattern: must be an object, got \[1\]"),
        ('{"unet.lora_alpha": 6, "unet.rank_pattern": {"(": 1}}', r'unet.rank_pattern: "\(" is no regular expression'),
        ('{"unet.lora_alpha": 6, "unet.r": 4}', "the header says rank 4 for .*to_q.*, its tensors have 2"),
    ],
)
def test_a_header_that_cannot_be_read_is_refused(
    pipelines: Pipelines, factors: tuple[Tensor, Tensor], tmp_path: Path, header: str, said: str
) -> None:
    path = tmp_path / "lora.safetensors"
    card = with_lora(pipelines("sd"), path, dict(zip(PEFT, factors, strict=True)), {"lora_adapter_metadata": header})
    with pytest.raises(UserError, match=said):
        load(card, "cpu")


def test_text_encoders_and_convolutions_have_them_too(pipelines: Pipelines, tmp_path: Path) -> None:
    plain = load(pipelines("sd"), "cpu").pipeline
    name, conv = "encoder.layers.0.self_attn.q_proj", "conv_in"
    path = next(path for path, _ in plain.text_encoder.named_modules() if path.endswith(name))
    query, kernel = plain.text_encoder.get_submodule(path).weight, plain.unet.conv_in.weight
    tensors = {
        f"text_encoder.{path}.lora_A.weight": torch.ones(1, query.shape[1]),
        f"text_encoder.{path}.lora_B.weight": torch.ones(query.shape[0], 1),
        f"unet.{conv}.lora_A.weight": torch.ones(1, *kernel.shape[1:]),
        f"unet.{conv}.lora_B.weight": torch.ones(kernel.shape[0], 1, 1, 1),
    }
    merged = load(with_lora(pipelines("sd"), tmp_path / "lora.safetensors", tensors), "cpu").pipeline
    torch.testing.assert_close(merged.text_encoder.get_submodule(path).weight, query + 1)
    torch.testing.assert_close(merged.unet.conv_in.weight, kernel + 1)


def test_what_does_not_fit_is_refused(pipelines: Pipelines, factors: tuple[Tensor, Tensor], tmp_path: Path) -> None:
    down, up = factors
    path = tmp_path / "lora.safetensors"
    a, b = (SPELLINGS["peft"][i].format(dotted=LAYER) for i in (0, 1))  # type: ignore[union-attr]
    wrong = {
        "fits no layer": {a.replace("to_q", "to_x"): down, b.replace("to_q", "to_x"): up},
        'attn1_to_q" fits no layer': {a: down},
        "another size": {a: down[:, 1:], b: up},
        "no part of a LoRA": {a: down, b: up, "unet.conv_in.bias": torch.ones(3)},
    }
    for said, tensors in wrong.items():
        with pytest.raises(UserError, match=said):
            load(with_lora(pipelines("sd"), path, tensors), "cpu")
    path.write_bytes(b"no tensors")
    with pytest.raises(UserError, match="no readable safetensors"):
        load(replace(pipelines("sd"), options={"lora": str(path)}), "cpu")


def test_a_file_that_is_not_there_is_told_before_anything_is_loaded(pipelines: Pipelines, tmp_path: Path) -> None:
    options = {"lora": "adapter.safetensors", "lora_from": "the hub"}
    absent = at_hand.missing(replace(pipelines("sd"), options=options))
    assert (
        str(absent)
        == f"{pipelines('sd').path / 'adapter.safetensors'}: the LoRA's file is missing. Get it from the hub."
    )


def test_the_adapter_is_a_part_of_the_model(
    pipelines: Pipelines, factors: tuple[Tensor, Tensor], tmp_path: Path
) -> None:
    down, up = factors
    path = tmp_path / "lora.safetensors"
    a, b = (SPELLINGS["peft"][i].format(dotted=LAYER) for i in (0, 1))  # type: ignore[union-attr]
    first, second = (pinned(with_lora(pipelines("sd"), path, {a: factor * down, b: up})) for factor in (1, 2))
    assert first.revision != second.revision
    assert second.options["lora_sha256"] == file_digest(path)
    with pytest.raises(UserError, match="this is not the card's LoRA: its sha256 is"):
        pinned(first)
    load(second, "cpu")
