"""The key/value cache of the next-patch model against taming's own GPT, which keeps none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from trilemma.card import Card
from trilemma.families.cached_prior import CachedPrior, advance, draw_tokens
from trilemma.families.sampling import sample_categorical
from trilemma.families.vqar import Prior, Vqar, VqarNetwork, load

NETWORK = VqarNetwork(levels=(4, 4, 4), layers=3, heads=4, width=32)
TEXT = 16


def sharpened(prior: Prior) -> Prior:
    """Sharper than at the start of training, and with much said by the position: near ties would hide a wrong one, and
    would fall this way or that by rounding.
    """
    torch.manual_seed(4)
    for parameter in prior.parameters():
        nn.init.normal_(parameter, std=0.3)
    nn.init.normal_(prior.gpt.pos_emb, std=3)
    return prior


@pytest.fixture(scope="module")
def prior() -> Prior:
    torch.manual_seed(3)
    built = Prior(NETWORK, TEXT).eval().requires_grad_(False)
    return sharpened(built)


def uncached_greedy(prior: Prior, text_BD: Tensor) -> tuple[Tensor, Tensor]:
    """The whole network again for every token, as taming's sampler does; also the logits of each step."""
    tokens = torch.zeros(len(text_BD), 0, dtype=torch.long)
    seen = []
    for _ in range(prior.tokens):
        logits = prior.gpt(tokens, embeddings=prior.text(text_BD)[:, None])[0][:, -1]
        seen.append(logits)
        tokens = torch.cat([tokens, logits.argmax(-1, keepdim=True)], 1)
    return tokens, torch.stack(seen, 1)


def cached_greedy(prior: Prior, text_BD: Tensor) -> tuple[Tensor, Tensor]:
    cached = CachedPrior(prior.gpt, prior.tokens, len(text_BD))
    seen = [cached.start(prior.text(text_BD))]
    while len(seen) < prior.tokens:
        seen.append(cached.step(seen[-1].argmax(-1)))
    logits = torch.stack(seen, 1)
    return logits.argmax(-1), logits


@torch.no_grad()
def test_cached_and_uncached_choose_the_same_tokens(prior: Prior) -> None:
    text = torch.randn(5, TEXT, generator=torch.Generator().manual_seed(0))
    slow, slow_logits = uncached_greedy(prior, text)
    fast, fast_logits = cached_greedy(prior, text)
    assert torch.equal(slow, fast)
    torch.testing.assert_close(fast_logits, slow_logits, atol=2e-4, rtol=1e-4)
    assert len(torch.unique(slow)) > 10, "the network must choose many tokens for this to mean anything"


@torch.no_grad()
def test_teacher_forcing_predicts_each_token_from_those_before_it(prior: Prior) -> None:
    text = torch.randn(2, TEXT, generator=torch.Generator().manual_seed(1))
    tokens, logits = uncached_greedy(prior, text)
    torch.testing.assert_close(prior(text, tokens[:, :-1]), logits, atol=2e-4, rtol=1e-4)
    changed = tokens[:, :-1].clone()
    changed[:, 20] = (changed[:, 20] + 1) % 64
    other = prior(text, changed)
    torch.testing.assert_close(other[:, :21], logits[:, :21], atol=2e-4, rtol=1e-4)
    assert not torch.allclose(other[:, 21:], logits[:, 21:], atol=1e-2)


@torch.no_grad()
def test_the_cache_is_allocated_once(prior: Prior) -> None:
    cached = CachedPrior(prior.gpt, prior.tokens, 2)
    address, shape = cached.cache_N2BHTc.data_ptr(), cached.cache_N2BHTc.shape
    cached.start(prior.text(torch.randn(2, TEXT)))
    for _ in range(5):
        cached.step(torch.tensor([1, 2]))
    assert (cached.cache_N2BHTc.data_ptr(), cached.cache_N2BHTc.shape) == (address, shape)
    assert cached.position == 6


@torch.no_grad()
@pytest.mark.parametrize("guidance_scale", (None, 2.5))
def test_drawn_tokens_are_those_of_the_plain_loop(prior: Prior, guidance_scale: float | None) -> None:
    """No cache, and two passes in place of one that is twice as large."""
    torch.manual_seed(5)
    given, empty = torch.randn(4, TEXT), torch.randn(1, TEXT).expand(4, -1)
    uniform = torch.rand(4, prior.tokens, dtype=torch.float64)
    plain = torch.zeros(4, 0, dtype=torch.long)
    for step in range(prior.tokens):
        logits = prior(given, plain)[:, -1]
        if guidance_scale is not None:
            without = prior(empty, plain)[:, -1]
            logits = without + guidance_scale * (logits - without)
        drawn = sample_categorical(logits, uniform[:, step], temperature=3.0, top_k=30, top_p=0.9)
        plain = torch.cat([plain, drawn[:, None]], 1)
    text = given if guidance_scale is None else torch.cat([given, empty])
    sampling = {"temperature": 3.0, "top_k": 30, "top_p": 0.9}
    fast = draw_tokens(prior.gpt, prior.text(text), uniform, guidance_scale=guidance_scale, **sampling)
    assert torch.equal(fast, plain)


@torch.no_grad()
def test_projections_are_joined_without_holding_them_twice() -> None:
    built = sharpened(Prior(NETWORK, TEXT).eval().requires_grad_(False))
    before = {name: value.clone() for name, value in built.state_dict().items()}
    CachedPrior(built.gpt, built.tokens, 1)
    assert all(torch.equal(value, before[name]) for name, value in built.state_dict().items())
    attention = built.gpt.blocks[0].attn
    thirds = [part.weight for part in (attention.query, attention.key, attention.value)]
    assert len({third.untyped_storage().data_ptr() for third in thirds}) == 1
    address = thirds[0].data_ptr()
    CachedPrior(built.gpt, built.tokens, 1)
    assert attention.query.weight.data_ptr() == address
    built.double()  # pulls them apart
    text = torch.randn(2, TEXT, dtype=torch.float64)
    torch.testing.assert_close(cached_greedy(built, text)[1], uncached_greedy(built, text)[1])


@torch.no_grad()
def test_a_compiled_block_is_the_block(prior: Prior) -> None:
    """What torch.compile sees, without a compiler behind it; the growing cache must not compile for each token."""
    torch._dynamo.reset()
    graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    traced = torch.compile(advance, backend="eager")
    embedding, uniform = prior.text(torch.randn(3, TEXT)), torch.rand(3, prior.tokens, dtype=torch.float64)
    compiled = draw_tokens(prior.gpt, embedding, uniform, guidance_scale=None, advance=traced)
    assert torch.equal(compiled, draw_tokens(prior.gpt, embedding, uniform, guidance_scale=None))
    assert 0 < torch._dynamo.utils.counters["stats"]["unique_graphs"] - graphs <= 3


@pytest.fixture
def vqar(trained: Callable[[str], Card]) -> Vqar:
    model = load(trained("vqar"), "cpu")
    sharpened(model.prior)
    return model


def test_temperature_zero_needs_no_seed(vqar: Vqar) -> None:
    first, second = vqar.generate(["a red star on green dots"] * 2, [1, 2], temperature=0.0)
    assert torch.equal(first, second)
    assert torch.equal(first, vqar.generate(["a red star on green dots"], [3], top_k=1)[0])


def test_the_sampler_runs_the_uncached_network(vqar: Vqar) -> None:
    """The registered model, greedy and unguided, against the whole network for every token."""
    prompts = ["a red star on green dots", "", "blue ring , purple waves"]
    tokens, _ = uncached_greedy(vqar.prior, vqar.text(prompts).pooled_BD)
    images = vqar.generate(prompts, [1, 2, 3], temperature=0.0, guidance_scale=1.0)
    assert torch.equal(images, vqar._decode(tokens))


def test_evaluations_count_tokens_and_guidance(vqar: Vqar) -> None:
    vqar.generate(["", "a red star on green dots"], [1, 2], guidance_scale=1.0)
    assert vqar.evaluations == 2 * 64
    vqar.generate(["", "a red star on green dots"], [1, 2], guidance_scale=2.0)
    assert vqar.evaluations == 3 * 2 * 64


def test_rows_of_a_trace_appear_in_order(vqar: Vqar) -> None:
    frames = vqar.trace(["a red star on green dots"], [1])
    assert len(frames) == 8
    for row, frame in enumerate(frames, start=1):
        assert torch.equal(frame[:, :, : 4 * row], frames[-1][:, :, : 4 * row])
        assert (frame[:, :, 4 * row :] == 128).all()
