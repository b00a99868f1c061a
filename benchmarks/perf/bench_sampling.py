"""Each sampler alone, and two beside the plain way: ``python -m pytest benchmarks/perf/bench_sampling.py -s``.

Nothing is asserted about time: compare two runs with ``--benchmark-autosave`` and ``--benchmark-compare``. Beside one
another, ours and the plain way run in turn in one process, and the ratio of their medians is printed with its goal.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from trilemma import registry
from trilemma.data import scenes
from trilemma.families.cached_prior import draw_tokens
from trilemma.families.diffusers_pipeline import Pipeline
from trilemma.families.sampling import sample_categorical
from trilemma.families.vqar import Prior, Vqar
from trilemma.generator import Generator, SampleStreams
from trilemma.workspace import find_workspace

CARDS = registry.cards(find_workspace(start=Path(__file__).parent))
MODELS = sorted(name for name, card in CARDS.items() if not card.control)
BATCH_SIZES = (1, 64)
ROUNDS = 5
Benchmark = Callable[..., Any]
Work = Callable[[], Tensor]


def loaded(name: str) -> Generator:
    if not CARDS[name].weights_sha256:
        pytest.skip(f'"{name}" has no weights: its card has no [weights]')
    return registry.load(CARDS[name], "cpu")


def captions(count: int) -> list[str]:
    return list(scenes.captions("prompts", range(count)))


@pytest.mark.benchmark(group="sampling")
@pytest.mark.parametrize("batch_size", BATCH_SIZES)
@pytest.mark.parametrize("name", MODELS)
def test_sampling(benchmark: Benchmark, name: str, batch_size: int) -> None:
    generator = loaded(name)
    images = benchmark(generator.generate, captions(batch_size), range(batch_size))
    assert len(images) == batch_size


Beside = Callable[[str, Work, Work, str], None]


@pytest.fixture
def beside(benchmark: Any, capsys: pytest.CaptureFixture[str]) -> Beside:
    """Times ours and the plain way in turn and prints plain / ours and ours / plain."""

    def compare(title: str, ours: Work, plain: Work, goal: str) -> None:
        times: dict[str, list[float]] = {"ours": [], "plain": []}
        for _ in range(ROUNDS):
            for name, work in (("plain", plain), ("ours", ours)):
                started = time.perf_counter()
                work()
                times[name].append(time.perf_counter() - started)
        medians = {name: statistics.median(values) for name, values in times.items()}
        faster, share = medians["plain"] / medians["ours"], medians["ours"] / medians["plain"]
        benchmark.extra_info |= {"plain / ours": faster, "ours / plain": share}
        with capsys.disabled():
            print(
                f"\n{title}: {medians['plain']:.3f} s plain, {medians['ours']:.3f} s ours:"
                f" {faster:.2f} times as fast, {share:.3f} of the time; the goal is {goal}"
            )
        benchmark.pedantic(ours, rounds=1)

    return compare


@pytest.mark.benchmark(group="tokens of vqar")
@pytest.mark.parametrize("batch_size", BATCH_SIZES)
def test_vqar_beside_the_uncached_loop(beside: Beside, batch_size: int) -> None:
    """The cached sampler beside the loop without a cache over the same weights; both draw all tokens, unguided."""
    vqar = loaded("vqar")
    assert isinstance(vqar, Vqar)
    prior = vqar.prior
    with torch.no_grad():
        text_BD = vqar.text(captions(batch_size)).pooled_BD
        uniform_BT = SampleStreams(range(batch_size)).uniform(prior.tokens)

        def ours() -> Tensor:
            return draw_tokens(prior.gpt, prior.text(text_BD), uniform_BT, guidance_scale=None)

        assert (ours() == _uncached(prior, text_BD, uniform_BT)).float().mean() > 0.98
        goal = "12 times" if batch_size == max(BATCH_SIZES) else "set at the larger batch"
        beside(f"vqar, batch {batch_size}", ours, lambda: _uncached(prior, text_BD, uniform_BT), goal)


def _uncached(prior: Prior, text_BD: Tensor, uniform_BT: Tensor) -> Tensor:
    tokens_BT = torch.zeros(len(text_BD), 0, dtype=torch.long)
    for step in range(prior.tokens):
        drawn_B = sample_categorical(prior(text_BD, tokens_BT)[:, -1], uniform_BT[:, step])
        tokens_BT = torch.cat([tokens_BT, drawn_B[:, None]], 1)
    return tokens_BT


@pytest.mark.benchmark(group="ldm")
@pytest.mark.parametrize("batch_size", BATCH_SIZES)
def test_ldm_beside_a_hand_written_loop(beside: Beside, batch_size: int) -> None:
    """The registered model beside the loop that diffusers' documentation teaches, over the parts as they are opened."""
    from diffusers import DiffusionPipeline

    ldm = loaded("ldm")
    assert isinstance(ldm, Pipeline)
    parts: Any = DiffusionPipeline.from_pretrained(CARDS["ldm"].path)  # type: ignore[no-untyped-call]
    knobs = {knob.name: knob.default for knob in ldm.info.knobs}
    prompts, seeds = captions(batch_size), range(batch_size)

    def plain() -> Tensor:
        return _hand_written(parts, prompts, seeds, int(knobs["num_inference_steps"]), knobs["guidance_scale"])

    def ours() -> Tensor:
        return ldm.generate(prompts, seeds)

    assert ((ours().int() - plain().int()).abs() <= 1).float().mean() > 0.99
    beside(f"ldm, batch {batch_size}", ours, plain, "at most 1.03 of the time")


@torch.no_grad()
def _hand_written(parts: Any, prompts: list[str], seeds: range, steps: int, scale: float) -> Tensor:
    texts = [*[""] * len(prompts), *prompts]
    settings = {"padding": "max_length", "max_length": parts.tokenizer.model_max_length, "truncation": True}
    ids = parts.tokenizer(texts, return_tensors="pt", **settings).input_ids
    states = parts.text_encoder(ids)[0]
    side = parts.unet.config.sample_size
    shape = (parts.unet.config.in_channels, side, side)
    latents = torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
    parts.scheduler.set_timesteps(steps)
    latents = latents * parts.scheduler.init_noise_sigma
    for timestep in parts.scheduler.timesteps:
        given = parts.scheduler.scale_model_input(torch.cat([latents, latents]), timestep)
        without, with_prompt = parts.unet(given, timestep, encoder_hidden_states=states).sample.chunk(2)
        latents = parts.scheduler.step(without + scale * (with_prompt - without), timestep, latents).prev_sample
    images: Tensor = parts.vae.decode(latents / parts.vae.config.scaling_factor).sample
    return ((images / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
