"""Categorical draws against plain references."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trilemma.families.sampling import embed_for_guidance, guide, sample_categorical
from trilemma.families.text import TextEncoder

logits_lists = st.lists(st.floats(-8, 8), min_size=2, max_size=12)
uniforms = st.floats(0, 1, exclude_max=True)


def plain_draw(
    logits: list[float], uniform: float, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0
) -> int:
    """One draw as one would write it for a single distribution."""
    scaled = np.asarray(logits, np.float64) / temperature
    probability = np.exp(scaled - scaled.max())
    if 0 < top_k < len(scaled):
        probability[scaled < np.sort(scaled)[-top_k]] = 0
    probability /= probability.sum()
    if top_p < 1:
        kept, mass = [], 0.0
        for index in np.argsort(-probability, kind="stable"):
            if mass >= top_p:
                break
            kept.append(index)
            mass += probability[index]
        probability = np.where(np.isin(np.arange(len(scaled)), kept), probability, 0)
    cumulative = np.cumsum(probability)
    return int(np.argmax(cumulative > uniform * cumulative[-1]))


def draw(logits: list[float], uniform: float, **knobs: float) -> int:
    options = {"top_k": 0, **knobs}
    row = torch.tensor([logits], dtype=torch.float64)
    return int(sample_categorical(row, torch.tensor([uniform], dtype=torch.float64), **options))  # type: ignore[arg-type]


def test_the_cumulative_distribution_is_inverted_exactly() -> None:
    probability = torch.tensor([0.1, 0.0, 0.4, 0.25, 0.25], dtype=torch.float64)
    edges = torch.tensor([0.0, 0.0999, 0.1001, 0.4999, 0.5001, 0.7499, 0.7501, 0.999999], dtype=torch.float64)
    drawn = sample_categorical(probability.log().expand(len(edges), -1), edges)
    assert drawn.tolist() == [0, 0, 2, 2, 3, 3, 4, 4]


def test_frequencies_are_the_probabilities() -> None:
    probability = torch.tensor([0.05, 0.2, 0.3, 0.45], dtype=torch.float64)
    uniform = (torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000  # a stratified uniform leaves no chance
    drawn = sample_categorical(probability.log().expand(10_000, -1), uniform)
    assert torch.bincount(drawn, minlength=4).tolist() == [500, 2000, 3000, 4500]


def test_temperature_zero_takes_the_likeliest() -> None:
    logits = torch.randn(64, 9, generator=torch.Generator().manual_seed(0))
    uniform = torch.rand(64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.equal(sample_categorical(logits, uniform, temperature=0), logits.argmax(-1))


def test_top_k_of_one_takes_the_likeliest_whatever_the_uniform() -> None:
    assert {draw([0.0, 2.0, 1.0], u, top_k=1) for u in (0.0, 0.5, 0.999)} == {1}


def test_top_p_keeps_the_smallest_set_that_reaches_it() -> None:
    logits = np.log([0.5, 0.3, 0.2]).tolist()
    assert {draw(logits, u / 100, top_p=0.49) for u in range(100)} == {0}
    assert {draw(logits, u / 100, top_p=0.51) for u in range(100)} == {0, 1}
    assert {draw(logits, u / 100, top_p=0.81) for u in range(100)} == {0, 1, 2}


@given(logits_lists, uniforms, st.floats(0.1, 5), st.integers(0, 12), st.floats(0.05, 1))
def test_agrees_with_a_plain_draw(
    logits: list[float], uniform: float, temperature: float, top_k: int, top_p: float
) -> None:
    if len({round(logit, 9) for logit in logits}) < len(logits):
        return  # ties, of which 1e-300 and 0 are one too, are kept or dropped by the order of a sort
    expected = plain_draw(logits, uniform, temperature, top_k, top_p)
    # A draw may fall on an edge of the distribution: rounding then decides between neighbours.
    nearby = {plain_draw(logits, min(max(uniform + d, 0), 1 - 1e-16), temperature, top_k, top_p) for d in (-1e-9, 1e-9)}
    near_p = {plain_draw(logits, uniform, temperature, top_k, top_p + d) for d in (-1e-9, 1e-9)}
    assert draw(logits, uniform, temperature=temperature, top_k=top_k, top_p=top_p) in {expected} | nearby | near_p


@given(logits_lists, uniforms)
def test_a_row_does_not_depend_on_its_mates(logits: list[float], uniform: float) -> None:
    row = torch.tensor([logits], dtype=torch.float64)
    mates = torch.cat([row + 1.0, row, row.flip(1)])
    uniform_3 = torch.tensor([0.3, uniform, 0.9], dtype=torch.float64)
    assert int(sample_categorical(mates, uniform_3)[1]) == int(sample_categorical(row, uniform_3[1:2]))


@pytest.mark.parametrize(("scale", "expected"), [(1.0, [3.0, 5.0]), (2.0, [5.0, 9.0]), (0.0, [1.0, 1.0])])
def test_guidance_is_u_plus_s_times_c_minus_u(scale: float, expected: list[float]) -> None:
    stacked = torch.tensor([[3.0, 5.0], [1.0, 1.0]])  # conditional first
    assert guide(stacked, scale).tolist() == [expected]


def test_the_empty_prompt_is_embedded_once(text_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = TextEncoder(text_folder)
    prompts = ["a red star on green dots", "a white circle"]
    plain = torch.cat([text(prompts).pooled_BD, text(["", ""]).pooled_BD])
    guided_2BD, guided = embed_for_guidance(text, prompts, 2.0)
    assert guided
    torch.testing.assert_close(guided_2BD, plain)
    monkeypatch.setattr(text, "forward", None)  # for empty prompts alone, nothing is run
    torch.testing.assert_close(embed_for_guidance(text, ["", ""], 2.0)[0], plain[2:])
    assert text.to(torch.bfloat16).pooled([""]).dtype == torch.bfloat16
