"""What a card has every call given: a negative prompt, and the length of prompts in tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from trilemma.card import Card
from trilemma.errors import UserError
from trilemma.families.diffusers_pipeline import Pipeline, load

Pipelines = Callable[[str], Card]
PROMPTS = ["a red star on green dots", "a blue ring"]
SEEDS = [5, 6]
NEGATIVE = "a white circle"
SETTINGS = {"num_inference_steps": 3, "guidance_scale": 4.0}


def with_options(card: Card, **options: Any) -> Card:
    return replace(card, options=card.options | options)


def images(model: Pipeline, prompts: list[str] = PROMPTS, **settings: float) -> Tensor:
    return model.generate(prompts, SEEDS, **SETTINGS | settings)


def of_diffusers(card: Card, prompts: list[str] = PROMPTS, **given: Any) -> Tensor:
    from diffusers import DiffusionPipeline

    without = {"text_encoder_3": None, "tokenizer_3": None} if card.name == "sd3" else {}
    pipeline: Any = DiffusionPipeline.from_pretrained(card.path, **without)  # type: ignore[no-untyped-call]
    pipeline.set_progress_bar_config(disable=True)
    side = 32 if card.name == "sana" else 16
    made = pipeline(
        prompts, height=side, width=side, generator=[torch.Generator().manual_seed(seed) for seed in SEEDS],
        output_type="pt", **given,
    ).images  # fmt: skip
    return (made * 255).round().to(torch.uint8)


def own(name: str) -> dict[str, bool]:
    return {"use_resolution_binning": False, "clean_caption": False} if name in ("pixart", "sana") else {}


@pytest.mark.parametrize("name", ("sd", "sdxl", "sd3", "pixart", "sana"))
def test_guidance_leads_away_from_the_cards_negative_prompt(pipelines: Pipelines, name: str) -> None:
    card = pipelines(name)
    made = images(load(with_options(card, negative_prompt=NEGATIVE), "cpu"))
    wanted = of_diffusers(card, negative_prompt=[NEGATIVE] * 2, **SETTINGS, **own(name))
    assert (made.int() - wanted.int()).abs().max() <= 1
    assert not torch.equal(made, images(load(card, "cpu")))


@pytest.mark.parametrize("name", ("sd", "sdxl"))
def test_an_empty_prompt_is_guided_away_too(pipelines: Pipelines, name: str) -> None:
    model = load(with_options(pipelines(name), negative_prompt=NEGATIVE), "cpu")
    made = images(model, ["", ""])
    assert model.evaluations == 2 * 2 * 3
    wanted = of_diffusers(pipelines(name), ["", ""], negative_prompt=[NEGATIVE] * 2, **SETTINGS)
    assert (made.int() - wanted.int()).abs().max() <= 1


def test_without_guidance_nothing_leads_away(pipelines: Pipelines) -> None:
    for name in ("sd", "sdxl"):
        model = load(with_options(pipelines(name), negative_prompt=NEGATIVE), "cpu")
        assert torch.equal(images(model, guidance_scale=1.0), images(load(pipelines(name), "cpu"), guidance_scale=1.0))
        assert model.evaluations == 2 * 3


def test_an_empty_negative_prompt_is_a_text(pipelines: Pipelines) -> None:
    """SDXL leads away from zeros where nothing is said, and from the empty prompt where that is."""
    said, unsaid = (load(with_options(pipelines("sdxl"), **given), "cpu") for given in ({"negative_prompt": ""}, {}))
    assert not torch.equal(images(said), images(unsaid))
    stable = load(with_options(pipelines("sd"), negative_prompt=""), "cpu")
    assert torch.equal(images(stable), images(load(pipelines("sd"), "cpu")))


@pytest.mark.parametrize("name", ("lcm", "flux", "schnell", "dit", "ddpm"))
def test_a_negative_prompt_of_which_nothing_would_come_is_refused(pipelines: Pipelines, name: str) -> None:
    with pytest.raises(UserError, match=r"options.negative_prompt: this pipeline takes none: it has no guidance"):
        load(with_options(pipelines(name), negative_prompt=NEGATIVE), "cpu")


def test_what_a_card_states_is_a_part_of_the_model(pipelines: Pipelines) -> None:
    card = pipelines("flux")
    stated = ({}, {"negative_prompt": "x"}, {"negative_prompt": "y"}, {"max_sequence_length": 8})
    assert len({with_options(card, **given).revision for given in stated}) == 4


@pytest.mark.parametrize("name", ("flux", "schnell", "pixart"))
def test_prompts_are_cut_at_the_cards_length(pipelines: Pipelines, name: str) -> None:
    card = pipelines(name)
    settings = {"num_inference_steps": 3} | ({"guidance_scale": 4.0} if name != "schnell" else {})
    made = load(with_options(card, max_sequence_length=4), "cpu").generate(PROMPTS, SEEDS, **settings)
    wanted = of_diffusers(card, max_sequence_length=4, **settings, **own(name))
    assert (made.int() - wanted.int()).abs().max() <= 1
    assert not torch.equal(made, load(card, "cpu").generate(PROMPTS, SEEDS, **settings))


@pytest.mark.parametrize("length", (0, -1, 2.5, True, "256"))
def test_a_length_is_a_whole_number(pipelines: Pipelines, length: object) -> None:
    with pytest.raises(UserError, match="options.max_sequence_length: must be a whole number of at least 1, got"):
        load(with_options(pipelines("flux"), max_sequence_length=length), "cpu")


@pytest.mark.parametrize("name", ("sd", "sdxl", "dit", "ddpm"))
def test_a_length_is_refused_where_the_call_takes_none(pipelines: Pipelines, name: str) -> None:
    with pytest.raises(UserError, match="options.max_sequence_length: this pipeline takes none"):
        load(with_options(pipelines(name), max_sequence_length=64), "cpu")


def test_a_negative_prompt_is_a_text(pipelines: Pipelines) -> None:
    with pytest.raises(UserError, match="options.negative_prompt: must be a text, got 3"):
        load(with_options(pipelines("sd"), negative_prompt=3), "cpu")
