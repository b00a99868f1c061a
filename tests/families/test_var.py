"""Next-scale prediction: the cache, the quantiser, and the official names and shapes in class mode."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trilemma.card import Card
from trilemma.families.var import blocks
from trilemma.families.var.blocks import Attention, Block, attend_fused, attend_plainly
from trilemma.families.var.model import Var
from trilemma.families.var.quantizer import MultiScaleQuantizer
from trilemma.families.var.transformer import Sampling, VarTransformer, VarTransformerNetwork
from trilemma.registry import load

SCALES = (1, 2, 3, 4)
TOKENS = 30
CODES, CODE_WIDTH, WIDTH, HEADS, DEPTH, CLASSES = 24, 6, 16, 2, 2, 5


def official_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the official repository's VAR, without shared adaptive layer norm."""
    block = {
        "attn.scale_mul_1H11": (1, HEADS, 1, 1),
        "attn.q_bias": (WIDTH,),
        "attn.v_bias": (WIDTH,),
        "attn.zero_k_bias": (WIDTH,),
        "attn.mat_qkv.weight": (3 * WIDTH, WIDTH),
        "attn.proj.weight": (WIDTH, WIDTH),
        "attn.proj.bias": (WIDTH,),
        "ffn.fc1.weight": (4 * WIDTH, WIDTH),
        "ffn.fc1.bias": (4 * WIDTH,),
        "ffn.fc2.weight": (WIDTH, 4 * WIDTH),
        "ffn.fc2.bias": (WIDTH,),
        "ada_lin.1.weight": (6 * WIDTH, WIDTH),
        "ada_lin.1.bias": (6 * WIDTH,),
    }
    return {
        "pos_start": (1, 1, WIDTH),
        "pos_1LC": (1, TOKENS, WIDTH),
        "lvl_1L": (1, TOKENS),
        "attn_bias_for_masking": (1, 1, TOKENS, TOKENS),
        "word_embed.weight": (WIDTH, CODE_WIDTH),
        "word_embed.bias": (WIDTH,),
        "class_emb.weight": (CLASSES + 1, WIDTH),
        "lvl_embed.weight": (len(SCALES), WIDTH),
        **{f"blocks.{i}.{name}": shape for i in range(DEPTH) for name, shape in block.items()},
        "head_nm.ada_lin.1.weight": (2 * WIDTH, WIDTH),
        "head_nm.ada_lin.1.bias": (2 * WIDTH,),
        "head.weight": (CODES, WIDTH),
        "head.bias": (CODES,),
    }


def official_quantizer_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes below ``quantize.`` in the official VQVAE."""
    phi = {"weight": (CODE_WIDTH, CODE_WIDTH, 3, 3), "bias": (CODE_WIDTH,)}
    return {
        "ema_vocab_hit_SV": (len(SCALES), CODES),
        "embedding.weight": (CODES, CODE_WIDTH),
        **{f"quant_resi.qresi_ls.{i}.{name}": shape for i in range(4) for name, shape in phi.items()},
    }


def network(classes: int = 0, *, shared_ada: bool = False) -> VarTransformerNetwork:
    return VarTransformerNetwork(
        codes=CODES, code_width=CODE_WIDTH, scales=SCALES, width=WIDTH, depth=DEPTH, heads=HEADS, classes=classes,
        text_width=0 if classes else 7, shared_ada=shared_ada,
    )  # fmt: skip


def random_weights(module: nn.Module, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.eval().requires_grad_(False)


def levels() -> Tensor:
    return torch.cat([torch.full((side**2,), i) for i, side in enumerate(SCALES)])


def test_a_state_dict_in_the_official_layout_loads() -> None:
    generator = torch.Generator().manual_seed(1)
    state = {name: torch.randn(shape, generator=generator) for name, shape in official_shapes().items()}
    state["lvl_1L"] = levels()[None]
    transformer = VarTransformer(network(CLASSES))
    transformer.load_state_dict(state)  # strict: neither more names nor fewer
    logits = transformer(transformer.condition(torch.tensor([0, CLASSES])), torch.randn(2, TOKENS - 1, CODE_WIDTH))
    assert logits.shape == (2, TOKENS, CODES)


@pytest.mark.parametrize("shared_ada", (False, True))
def test_a_block_starts_near_the_identity(shared_ada: bool) -> None:
    """Gains as in the official ``init_weights``: 1e-5 of a layer's; scales and shifts are halved, not switched off."""
    torch.manual_seed(0)
    block = VarTransformer(network(shared_ada=shared_ada)).blocks[0]
    assert isinstance(block, Block)
    initial = block.ada_gss[0, 0] if shared_ada else block.ada_lin[1].weight.view(6, WIDTH, WIDTH)
    spread = initial.flatten(1).std(1)
    assert (spread[:2] < 1e-4 * spread[2:].min()).all()
    assert (spread[2:] > 0.02).all()
    if not shared_ada:
        x = torch.randn(3, TOKENS, WIDTH)
        torch.testing.assert_close(block(x, block.modulation(torch.randn(3, WIDTH)), None, None), x, atol=1e-3, rtol=0)


@pytest.mark.parametrize("masked", (False, True))
def test_attention_by_the_fused_kernel_is_the_one_that_is_written_out(masked: bool) -> None:
    """To 1e-5 in float32; on GPUs the first runs, on CPUs the second."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(3, HEADS, TOKENS, 8, generator=generator) for _ in range(3))
    q, k = 4 * F.normalize(q, dim=-1), F.normalize(k, dim=-1)
    mask = VarTransformer(network(CLASSES)).attn_bias_for_masking if masked else None
    torch.testing.assert_close(attend_fused(q, k, v, mask), attend_plainly(q, k, v, mask), atol=1e-5, rtol=0)
    step = attend_fused(q[:, :, -4:], k, v, None)  # a scale, with all keys so far
    torch.testing.assert_close(step, attend_plainly(q[:, :, -4:], k, v, None), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("on_gpu", "runs"), [(False, "attend_plainly"), (True, "attend_fused")])
def test_the_fused_kernel_runs_on_gpus_alone(on_gpu: bool, runs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    for name in ("attend_plainly", "attend_fused"):
        real = getattr(blocks, name)
        monkeypatch.setattr(blocks, name, lambda *a, name=name, real=real: called.append(name) or real(*a))
    if on_gpu:
        monkeypatch.setattr(Tensor, "is_cuda", True)
    random_attention = random_weights(Attention(WIDTH, HEADS))
    random_attention(torch.randn(2, TOKENS, WIDTH), None, None)
    assert called == [runs]


def test_buffers_hold_what_the_official_ones_hold() -> None:
    transformer = VarTransformer(network(CLASSES))
    assert torch.equal(transformer.lvl_1L, levels()[None])
    later = levels()[:, None] >= levels()[None, :]
    assert torch.equal(transformer.attn_bias_for_masking[0, 0] == 0, later)
    assert (transformer.attn_bias_for_masking[0, 0][~later] == -torch.inf).all()


def test_a_quantiser_in_the_official_layout_loads() -> None:
    state = {name: torch.randn(shape) for name, shape in official_quantizer_shapes().items()}
    quantizer = MultiScaleQuantizer(CODES, CODE_WIDTH, SCALES)
    quantizer.load_state_dict(state)
    held = quantizer.state_dict()
    assert held.keys() == state.keys()
    assert all(torch.equal(held[name], value) for name, value in state.items())


@pytest.mark.parametrize(("place", "chosen"), [(0.0, 0), (1 / 5, 0), (2 / 5, 1), (2 / 3, 2), (1.0, 3)])
def test_a_scale_takes_the_nearest_of_four_convolutions(place: float, chosen: int) -> None:
    quantizer = MultiScaleQuantizer(CODES, CODE_WIDTH, SCALES)
    x = torch.randn(1, CODE_WIDTH, 4, 4)
    phi = quantizer.quant_resi.qresi_ls[chosen]
    assert isinstance(phi, nn.Conv2d)
    expected = 0.5 * x + 0.5 * F.conv2d(x, phi.weight, phi.bias, padding=1)
    torch.testing.assert_close(quantizer.quant_resi(x, place), expected)


@pytest.fixture(scope="module")
def quantizer() -> MultiScaleQuantizer:
    built = random_weights(MultiScaleQuantizer(CODES, CODE_WIDTH, SCALES))
    assert isinstance(built, MultiScaleQuantizer)
    return built


def test_decoding_the_indices_gives_the_sum_that_encoding_saw(quantizer: MultiScaleQuantizer) -> None:
    latent = torch.randn(3, CODE_WIDTH, 4, 4)
    steps = list(quantizer.encode(latent))
    indices = [index for _, index, _ in steps]
    assert [index.shape[1] for index in indices] == [side**2 for side in SCALES]
    for decoded, (_, _, total) in zip(quantizer.sums(indices), steps, strict=True):
        torch.testing.assert_close(decoded, total)


def test_each_scale_quantises_what_the_coarser_ones_left(quantizer: MultiScaleQuantizer) -> None:
    latent = torch.randn(2, CODE_WIDTH, 4, 4)
    residual = latent
    for side, (vectors, index, total) in zip(SCALES, quantizer.encode(latent), strict=True):
        shrunk = F.adaptive_avg_pool2d(residual, side).permute(0, 2, 3, 1).reshape(-1, CODE_WIDTH)
        torch.testing.assert_close(vectors, shrunk)
        assert torch.equal(index.flatten(), torch.cdist(shrunk, quantizer.embedding.weight).argmin(1))
        residual = latent - total


def test_teacher_inputs_are_the_shrunk_sums(quantizer: MultiScaleQuantizer) -> None:
    indices = [index for _, index, _ in quantizer.encode(torch.randn(2, CODE_WIDTH, 4, 4))]
    parts = quantizer.teacher_inputs(indices).split([side**2 for side in SCALES[1:]], dim=1)
    for side, part, total in zip(SCALES[1:], parts, list(quantizer.sums(indices))[:-1], strict=True):
        expected = F.adaptive_avg_pool2d(total, side).flatten(2).transpose(1, 2)
        torch.testing.assert_close(part, expected)


def stepwise(transformer: VarTransformer, given: Tensor, inputs: Sequence[Tensor]) -> Tensor:
    sampling = Sampling(transformer, given)
    return torch.cat([transformer.step(sampling, part) for part in (None, *inputs)], 1)


@pytest.mark.parametrize("shared_ada", (False, True))
@pytest.mark.parametrize("classes", (0, CLASSES))
def test_cached_steps_equal_teacher_forcing(classes: int, shared_ada: bool) -> None:
    transformer = random_weights(VarTransformer(network(classes, shared_ada=shared_ada)))
    assert isinstance(transformer, VarTransformer)
    given = torch.tensor([1, 2, 5]) if classes else torch.randn(3, 7)
    condition = transformer.condition(given)
    inputs = torch.randn(3, TOKENS - 1, CODE_WIDTH)
    whole = transformer(condition, inputs)
    parts = inputs.split([side**2 for side in SCALES[1:]], dim=1)
    torch.testing.assert_close(stepwise(transformer, given, parts), whole, atol=1e-4, rtol=1e-4)
    changed = inputs.clone()
    changed[:, -1] += 1  # a token of the last scale
    assert torch.equal(transformer(condition, changed)[:, : -(SCALES[-1] ** 2)], whole[:, : -(SCALES[-1] ** 2)])


@pytest.fixture
def var(trained: Callable[[str], Card]) -> Var:
    generator = load(trained("var"), "cpu")
    assert isinstance(generator, Var)
    return generator


@torch.no_grad()
def test_greedy_sampling_is_consistent_with_teacher_forcing(var: Var) -> None:
    """Each drawn token is the likeliest that the whole network, fed with all drawn tokens, predicts."""
    prompts = ["a red star on green dots", ""]
    knobs = {"guidance_scale": 1.0, "temperature": 0.0}
    indices = [index for index, _ in var._sample(var._scales, prompts, [1, 2], knobs)]
    condition = var.transformer.condition(var.condition(prompts, 1.0)[0])
    logits = var.transformer(condition, var.tokenizer.quantize.teacher_inputs(indices))
    chosen = logits.gather(2, torch.cat(indices, 1)[..., None])[..., 0]
    torch.testing.assert_close(chosen, logits.amax(2), atol=1e-5, rtol=1e-4)


def test_evaluations_count_scales_and_guidance(var: Var) -> None:
    var.generate(["", "a red star on green dots"], [1, 2], guidance_scale=1.0)
    assert var.evaluations == 2 * 6
    var.generate(["", "a red star on green dots"], [1, 2], guidance_scale=2.0)
    assert var.evaluations == 3 * 2 * 6


def test_linear_guidance_rises_from_none(var: Var) -> None:
    var.linear = True
    assert [var._strength(3.0, place) for place in (0, 5)] == [1.0, 3.0]
    var.linear = False
    assert [var._strength(3.0, place) for place in (0, 5)] == [3.0, 3.0]
