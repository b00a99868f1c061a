"""Every family's recipe, from the first step to a folder that its sampler opens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pytest
import torch

from trilemma import registry
from trilemma.card import Card
from trilemma.errors import UserError

PROMPTS = ["a red circle on green stripes", "", "purple dots behind a blue star"]
SEEDS = [11, 12, 13]
ALL = ("gan", "vqar", "var", "ldm")


@pytest.mark.parametrize("name", ALL)
def test_a_trained_folder_can_be_sampled_from(trained: Callable[[str], Card], name: str) -> None:
    generator = registry.load(trained(name), "cpu")
    images = generator.generate(PROMPTS, SEEDS)
    assert images.shape == (3, 3, 32, 32)
    assert images.dtype == torch.uint8
    assert generator.info.parameters > 0


@pytest.mark.parametrize("name", ALL)
def test_half_way_weights_can_be_sampled_from_too(trained: Callable[[str], Card], name: str) -> None:
    card = trained(name)
    half = replace(card, path=card.path / "checkpoints" / "at-50")
    assert registry.load(half, "cpu").generate(PROMPTS[:1], SEEDS[:1]).shape == (1, 3, 32, 32)


@pytest.mark.parametrize("name", ("vqar", "var", "ldm"))
def test_guidance_of_one_is_no_guidance(trained: Callable[[str], Card], name: str) -> None:
    generator = registry.load(trained(name), "cpu")
    before = generator.evaluations
    generator.generate(PROMPTS, SEEDS, guidance_scale=1.0)
    single = generator.evaluations - before
    generator.generate(PROMPTS, SEEDS, guidance_scale=3.0)
    assert generator.evaluations - before - single == 2 * single


@pytest.mark.parametrize("name", ("vqar", "var", "ldm"))
def test_guidance_of_the_empty_prompt_changes_nothing(trained: Callable[[str], Card], name: str) -> None:
    generator = registry.load(trained(name), "cpu")
    plain = generator.generate([""], [5], guidance_scale=1.0)
    assert torch.equal(generator.generate([""], [5], guidance_scale=7.0), plain)


@pytest.mark.parametrize("name", ALL)
def test_a_trace_ends_in_the_image(trained: Callable[[str], Card], name: str) -> None:
    generator = registry.load(trained(name), "cpu")
    frames = generator.trace(PROMPTS, SEEDS)  # type: ignore[attr-defined]
    assert torch.equal(frames[-1], generator.generate(PROMPTS, SEEDS))
    assert (len(frames) == 1) if name == "gan" else not torch.equal(frames[0], frames[-1])


@pytest.mark.parametrize("name", ALL)
def test_wrong_knobs_are_refused(trained: Callable[[str], Card], name: str) -> None:
    generator = registry.load(trained(name), "cpu")
    with pytest.raises(UserError, match='unknown knob "tempreature".*Known: .*' + generator.info.knobs[0].name):
        generator.generate(PROMPTS, SEEDS, tempreature=1.0)
    for knob in generator.info.knobs:
        for value in (knob.minimum - 1, 2 * knob.maximum + 1):
            with pytest.raises(UserError, match=f'"{knob.name}" must lie in'):
                generator.generate(PROMPTS, SEEDS, **{knob.name: value})


def test_weights_of_another_shape_are_refused(trained: Callable[[str], Card]) -> None:
    card = trained("gan")
    with pytest.raises(UserError, match=r"do not fit the card's \[network\]"):
        registry.load(replace(card, network={**card.network, "latent": 9}), "cpu")


def test_unknown_network_key_is_refused(trained: Callable[[str], Card]) -> None:
    card = trained("gan")
    with pytest.raises(UserError, match='unknown key "latnet".*Did you mean "latent"'):
        registry.load(replace(card, network={"latnet": 9}), "cpu")


def test_missing_weights_are_named(trained: Callable[[str], Card], tmp_path: Path) -> None:
    card = trained("gan")
    for part in ("text_encoder", "tokenizer"):
        copytree(card.path / part, tmp_path / part)
    with pytest.raises(UserError, match="weights are missing"):
        registry.load(replace(card, path=tmp_path), "cpu")
