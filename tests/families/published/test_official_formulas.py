"""Published checkpoints against the formulas of their authors, written anew, in float64, on the tensors of the files.

VAR: ``models/var.py``, ``models/quant.py``; Taming Transformers: ``scripts/sample_fast.py``, ``mingpt.py``;
BigGAN-deep: ``pytorch_pretrained_biggan/model.py``. Nothing here keeps a cache, joins weights or folds constants in, as
ours do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from trilemma import registry
from trilemma.card import Card
from trilemma.families import cached_prior
from trilemma.families.biggan import truncated_normal
from trilemma.families.var import model as var_model
from trilemma.generator import SampleStreams

Published = Callable[[str], Card]
State = dict[str, Tensor]
SEEDS = [5, 2**62, 9]
PROMPTS = ["class 3", "class 19", ""]
MULTIPLIERS, RES_BLOCKS = (1, 1, 2), 1
SCALES = (1, 2, 3, 5, 8)


@pytest.fixture
def in_float64() -> Iterator[None]:
    """Both sides in float64: strong guidance multiplies the rounding of float32, differently on every processor."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def state_of(card: Card, name: str, prefix: str = "") -> State:
    loaded = torch.load(card.path / name, weights_only=True)
    tensors = loaded.get("state_dict", loaded)
    return {key.removeprefix(prefix): value.double() for key, value in tensors.items() if key.startswith(prefix)}


def linear(state: State, name: str, x: Tensor) -> Tensor:
    return F.linear(x, state[f"{name}.weight"], state.get(f"{name}.bias"))


def conv(state: State, name: str, x: Tensor) -> Tensor:
    weight = state[f"{name}.weight"]
    return F.conv2d(x, weight, state[f"{name}.bias"], padding=weight.shape[-1] // 2)


def group_norm(state: State, name: str, x: Tensor) -> Tensor:
    return F.group_norm(x, 32, state[f"{name}.weight"], state[f"{name}.bias"], eps=1e-6)


def res_block(state: State, name: str, x: Tensor) -> Tensor:
    h = conv(state, f"{name}.conv1", F.silu(group_norm(state, f"{name}.norm1", x)))
    h = conv(state, f"{name}.conv2", F.silu(group_norm(state, f"{name}.norm2", h)))
    return h + (conv(state, f"{name}.nin_shortcut", x) if f"{name}.nin_shortcut.weight" in state else x)


def attention(state: State, name: str, x: Tensor) -> Tensor:
    normed = group_norm(state, f"{name}.norm", x)
    if f"{name}.qkv.weight" in state:
        q, k, v = conv(state, f"{name}.qkv", normed).flatten(2).chunk(3, 1)
    else:
        q, k, v = (conv(state, f"{name}.{part}", normed).flatten(2) for part in "qkv")
    weights = (torch.einsum("bci,bcj->bij", q, k) / math.sqrt(q.shape[1])).softmax(-1)
    return x + conv(state, f"{name}.proj_out", torch.einsum("bij,bcj->bci", weights, v).view_as(x))


def decoded(state: State, latent: Tensor) -> Tensor:
    """Images in [0, 255] of a latent, by either autoencoder."""
    h = conv(state, "decoder.conv_in", conv(state, "post_quant_conv", latent))
    h = res_block(state, "decoder.mid.block_1", h)
    h = res_block(state, "decoder.mid.block_2", attention(state, "decoder.mid.attn_1", h))
    for level in reversed(range(len(MULTIPLIERS))):
        for block in range(RES_BLOCKS + 1):
            h = res_block(state, f"decoder.up.{level}.block.{block}", h)
            if level == len(MULTIPLIERS) - 1:
                h = attention(state, f"decoder.up.{level}.attn.{block}", h)
        if level:
            h = conv(state, f"decoder.up.{level}.upsample.conv", h.repeat_interleave(2, 2).repeat_interleave(2, 3))
    image = conv(state, "decoder.conv_out", F.silu(group_norm(state, "decoder.norm_out", h)))
    return (image.clamp(-1, 1) + 1) * 127.5


def assert_same_images(made: Tensor, wanted: Tensor) -> None:
    assert made.dtype == torch.uint8 and made.shape == wanted.shape
    assert wanted.amax() - wanted.amin() > 50  # nothing is saturated, and nothing is grey
    assert (made - wanted).abs().max() < 0.51


def kept(logits: Tensor, *, top_k: int, top_p: float) -> Tensor:
    """Which tokens remain: the k likeliest, then all but the least likely that make up 1 - p together."""
    logits = logits.masked_fill(logits < logits.topk(top_k).values[..., -1:], -torch.inf)
    ordered, order = logits.sort(-1)
    cut = ordered.softmax(-1).cumsum(-1) <= 1 - top_p
    cut[..., -1] = False
    return logits.isfinite() & ~cut.scatter(-1, order, cut)


class Recorder:
    """Takes down the logits that tokens are drawn from, and the tokens."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: Any) -> None:
        self.logits: list[Tensor] = []
        self.tokens: list[Tensor] = []
        self.settings: dict[str, float] = {}
        real = module.sample_categorical

        def record(logits: Tensor, uniform: Tensor, **settings: Any) -> Tensor:
            tokens: Tensor = real(logits, uniform, **settings)
            self.logits.append(logits.clone())
            self.tokens.append(tokens.clone())
            self.settings = settings
            return tokens

        monkeypatch.setattr(module, "sample_categorical", record)


def adaptive(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift


def modulation(state: State, name: str, condition: Tensor, parts: int) -> Tensor:
    return linear(state, f"{name}.1", F.silu(condition)).view(len(condition), 1, parts, -1)


def var_block(state: State, name: str, x: Tensor, six: Tensor, mask: Tensor) -> Tensor:
    gain1, gain2, scale1, scale2, shift1, shift2 = six.unbind(2)
    h, (batch, length, width) = adaptive(x, scale1, shift1), x.shape
    bias = torch.cat([state[f"{name}.attn.{part}"] for part in ("q_bias", "zero_k_bias", "v_bias")])
    qkv = F.linear(h, state[f"{name}.attn.mat_qkv.weight"], bias).view(batch, length, 3, -1, width // 2)
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    sharpness = state[f"{name}.attn.scale_mul_1H11"].clamp(max=math.log(100)).exp()
    q, k = q / q.norm(dim=-1, keepdim=True) * sharpness, k / k.norm(dim=-1, keepdim=True)
    mixed = (q @ k.mT + mask).softmax(-1) @ v
    x = x + linear(state, f"{name}.attn.proj", mixed.transpose(1, 2).reshape(batch, length, width)) * gain1
    hidden = F.gelu(linear(state, f"{name}.ffn.fc1", adaptive(x, scale2, shift2)), approximate="tanh")
    return x + linear(state, f"{name}.ffn.fc2", hidden) * gain2


def var_logits(state: State, labels: Tensor, maps: list[Tensor]) -> Tensor:
    """Logits of all tokens up to the last of the maps (B, C, s, s) that the scales after the first read."""
    condition = state["class_emb.weight"][labels]
    read = [linear(state, "word_embed", one.flatten(2).transpose(1, 2)) for one in maps]
    x = torch.cat([condition[:, None] + state["pos_start"], *read], 1)
    length = x.shape[1]
    levels = state["lvl_1L"][0, :length].long()
    x = x + state["lvl_embed.weight"][levels] + state["pos_1LC"][:, :length]
    mask = torch.where(levels[:, None] >= levels[None, :], 0.0, -torch.inf)
    shared = "shared_ada_lin.1.weight" in state
    common = modulation(state, "shared_ada_lin", condition, 6) if shared else None
    for number in range(2):
        name = f"blocks.{number}"
        own = (
            modulation(state, f"{name}.ada_lin", condition, 6) if common is None else state[f"{name}.ada_gss"] + common
        )
        x = var_block(state, name, x, own, mask)
    scale, shift = modulation(state, "head_nm.ada_lin", condition, 2).unbind(2)
    return linear(state, "head", adaptive(x, scale, shift))


def var_sum(state: State, total: Tensor, tokens: Tensor, place: int) -> Tensor:
    """The sum of the codes so far, ``f_hat``, with those of one more scale."""
    side = SCALES[place]
    codes = state["quantize.embedding.weight"][tokens].transpose(1, 2).reshape(len(tokens), -1, side, side)
    if place < len(SCALES) - 1:
        codes = F.interpolate(codes, size=(8, 8), mode="bicubic")
    ticks = np.linspace(1 / 12, 11 / 12, 4)
    name = f"quantize.quant_resi.qresi_ls.{np.abs(ticks - place / (len(SCALES) - 1)).argmin()}"
    return total + 0.5 * codes + 0.5 * conv(state, name, codes)


@torch.no_grad()
@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize("name", ("var", "var-shared"))
@pytest.mark.parametrize("cfg", (1.5, 4.0))
def test_var_follows_the_official_sampler(
    published: Published, monkeypatch: pytest.MonkeyPatch, name: str, cfg: float
) -> None:
    """``autoregressive_infer_cfg``: guidance (1 + t) c - t u with t = cfg si / (S - 1), and our scale is 1 + cfg."""
    card = published(name)
    recorder = Recorder(monkeypatch, var_model)
    images = registry.load(card, "cpu").generate(PROMPTS, SEEDS, guidance_scale=1 + cfg)
    assert recorder.settings == {"temperature": 1.0, "top_k": 30, "top_p": 0.96}
    state, tokenizer = state_of(card, "var_d2.pth"), state_of(card, "vae.pth")
    labels = torch.tensor([3, 19, 20, 20, 20, 20])  # two classes, the null class; then the null class for each
    total, maps = torch.zeros((), dtype=torch.float64), []
    for place, side in enumerate(SCALES):
        ratio = cfg * place / (len(SCALES) - 1)
        conditional, null = var_logits(state, labels, maps)[:, -(side**2) :].chunk(2)
        wanted = (1 + ratio) * conditional - ratio * null
        made = recorder.logits[place].view_as(wanted)
        torch.testing.assert_close(made, wanted, atol=1e-10, rtol=1e-10)
        tokens = recorder.tokens[place].view(len(SEEDS), side * side)
        assert kept(wanted, top_k=30, top_p=0.96).gather(2, tokens[..., None]).all()
        total = var_sum(tokenizer, total, tokens, place)
        if place < len(SCALES) - 1:
            after = SCALES[place + 1]
            maps.append(F.interpolate(total, size=(after, after), mode="area").repeat(2, 1, 1, 1))
    assert_same_images(images, decoded(tokenizer, total))


def test_what_is_kept_is_what_the_official_filter_keeps() -> None:
    """In VAR ascending and exclusive, in taming descending and shifted: the same set, but for ties."""
    from trilemma.families.sampling import kept_probabilities

    logits = 3 * torch.randn(200, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for top_k, top_p in ((64, 0.9), (20, 0.5), (5, 0.99), (1, 0.5)):
        probability = kept_probabilities(logits, temperature=1.0, top_k=top_k, top_p=top_p)
        wanted = kept(logits, top_k=top_k, top_p=top_p)
        assert torch.equal(probability > 0, wanted)
        torch.testing.assert_close(probability, logits.masked_fill(~wanted, -torch.inf).softmax(-1))
        limited = logits.masked_fill(logits < logits.topk(top_k).values[:, -1:], -torch.inf)
        ordered, order = limited.sort(-1, descending=True)
        above = ordered.softmax(-1).cumsum(-1) > top_p
        above[:, 1:], above[:, 0] = above[:, :-1].clone(), False
        assert torch.equal(limited.isfinite() & ~above.scatter(1, order, above), wanted)


def gpt_logits(state: State, tokens: Tensor) -> Tensor:
    """Logits at every place, all tokens at once."""
    length, width = tokens.shape[1], state["tok_emb.weight"].shape[1]
    x = state["tok_emb.weight"][tokens] + state["pos_emb"][:, :length]
    causal = torch.ones(length, length).tril() == 0

    def norm(name: str, x: Tensor) -> Tensor:
        return F.layer_norm(x, (width,), state[f"{name}.weight"], state[f"{name}.bias"])

    for name in ("blocks.0", "blocks.1"):
        h = norm(f"{name}.ln1", x)
        parts = [linear(state, f"{name}.attn.{part}", h) for part in ("query", "key", "value")]
        q, k, v = (part.view(*part.shape[:2], 2, -1).transpose(1, 2) for part in parts)
        weights = (q @ k.mT / math.sqrt(width // 2)).masked_fill(causal, -torch.inf).softmax(-1)
        x = x + linear(state, f"{name}.attn.proj", (weights @ v).transpose(1, 2).reshape(x.shape))
        x = x + linear(state, f"{name}.mlp.2", F.gelu(linear(state, f"{name}.mlp.0", norm(f"{name}.ln2", x))))
    return linear(state, "head", norm("ln_f", x))


@torch.no_grad()
@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize(
    ("name", "first"), [("taming", [3, 19, 7]), ("taming-unconditional", [3, 3, 3])], ids=("classes", "start-token")
)
def test_taming_follows_sample_fast(
    published: Published, monkeypatch: pytest.MonkeyPatch, name: str, first: list[int]
) -> None:
    """The class, or the start token, is the first token; logits over temperature, then the k likeliest, then p."""
    card = published(name)
    recorder = Recorder(monkeypatch, cached_prior)
    prompts = ["class 3", "class 19", "class 7"] if name == "taming" else PROMPTS
    images = registry.load(card, "cpu").generate(prompts, SEEDS, temperature=0.8)
    assert recorder.settings == {"temperature": 0.8, "top_k": 40, "top_p": 0.92}
    tokens = torch.stack(recorder.tokens, 1)
    state = state_of(card, "checkpoints/last.ckpt", "transformer.")
    wanted = gpt_logits(state, torch.cat([torch.tensor(first)[:, None], tokens[:, :-1]], 1))
    torch.testing.assert_close(torch.stack(recorder.logits, 1), wanted, atol=1e-10, rtol=1e-10)
    assert kept(wanted / 0.8, top_k=40, top_p=0.92).gather(2, tokens[..., None]).all()
    vqgan = state_of(card, "checkpoints/last.ckpt", "first_stage_model.")
    codes = vqgan["quantize.embedding.weight"][tokens].view(len(SEEDS), 8, 8, -1).permute(0, 3, 1, 2)
    assert_same_images(images, decoded(vqgan, codes))


def normed_weight(state: State, name: str) -> Tensor:
    """The weight over its largest singular value, which the file's vectors give."""
    weight = state[f"{name}.weight_orig"]
    return weight / torch.einsum("i,ij,j->", state[f"{name}.weight_u"], weight.flatten(1), state[f"{name}.weight_v"])


def spectral_conv(state: State, name: str, x: Tensor) -> Tensor:
    weight = normed_weight(state, name)
    return F.conv2d(x, weight, state.get(f"{name}.bias"), padding=weight.shape[-1] // 2)


def statistics_at(state: State, name: str, truncation: float) -> tuple[Tensor, Tensor]:
    place = truncation * (len(state[f"{name}.running_means"]) - 1)
    below, share = math.floor(place), place - math.floor(place)
    above = min(below + 1, len(state[f"{name}.running_means"]) - 1)
    tables = (state[f"{name}.running_means"], state[f"{name}.running_vars"])
    mean, variance = ((1 - share) * table[below] + share * table[above] for table in tables)
    return mean, variance


def conditional_norm(state: State, name: str, x: Tensor, condition: Tensor, truncation: float) -> Tensor:
    mean, variance = (one[:, None, None] for one in statistics_at(state, name, truncation))
    gain = 1 + condition @ normed_weight(state, f"{name}.scale").T
    shift = condition @ normed_weight(state, f"{name}.offset").T
    return (x - mean) / (variance + 1e-4).sqrt() * gain[:, :, None, None] + shift[:, :, None, None]


def doubled(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def gan_block(state: State, name: str, x: Tensor, condition: Tensor, truncation: float, *, up: bool) -> Tensor:
    h = x
    for place in range(4):
        h = conditional_norm(state, f"{name}.bn_{place}", h, condition, truncation).relu()
        h = doubled(h) if up and place == 1 else h
        h = spectral_conv(state, f"{name}.conv_{place}", h)
    kept_channels = x[:, : h.shape[1]]
    return h + (doubled(kept_channels) if up else kept_channels)


def gan_attention(state: State, name: str, x: Tensor) -> Tensor:
    theta = spectral_conv(state, f"{name}.snconv1x1_theta", x).flatten(2)
    phi = F.max_pool2d(spectral_conv(state, f"{name}.snconv1x1_phi", x), 2).flatten(2)
    g = F.max_pool2d(spectral_conv(state, f"{name}.snconv1x1_g", x), 2).flatten(2)
    mixed = g @ (theta.mT @ phi).softmax(-1).mT
    return x + state[f"{name}.gamma"] * spectral_conv(
        state, f"{name}.snconv1x1_o_conv", mixed.view(len(x), -1, *x.shape[2:])
    )


def gan_images(state: State, z: Tensor, labels: Tensor, truncation: float) -> Tensor:
    """Images in [0, 255]; z is scaled already."""
    one_hot = F.one_hot(labels, state["embeddings.weight"].shape[1]).double()
    condition = torch.cat([z, one_hot @ state["embeddings.weight"].T], 1)
    start = condition @ normed_weight(state, "generator.gen_z").T + state["generator.gen_z.bias"]
    x = start.view(len(z), 4, 4, -1).permute(0, 3, 1, 2)
    for number in range(7):
        name = f"generator.layers.{number}"
        ups = number in (1, 3, 6)  # of the seven, the fifth is self-attention, and every other block doubles
        x = gan_attention(state, name, x) if number == 4 else gan_block(state, name, x, condition, truncation, up=ups)
    mean, variance = statistics_at(state, "generator.bn", truncation)
    x = F.batch_norm(x, mean, variance, state["generator.bn.weight"], state["generator.bn.bias"], eps=1e-4).relu()
    return (spectral_conv(state, "generator.conv_to_rgb", x)[:, :3].tanh() + 1) * 127.5


@torch.no_grad()
@pytest.mark.parametrize("truncation", (1.0, 0.5, 0.25, 0.6))
def test_biggan_follows_its_formulas(published: Published, truncation: float) -> None:
    """Five sets of statistics, from truncation 0 to 1: at 0.6 two of them are mixed."""
    card = published("biggan")
    generator = registry.load(card, "cpu")
    images = generator.generate(["class 3", "class 19", "class 3"], SEEDS, truncation=truncation)
    z = truncated_normal(SampleStreams(SEEDS), 8).double() * truncation
    assert z.abs().max() <= 2 * truncation
    wanted = gan_images(state_of(card, "pytorch_model.bin"), z, torch.tensor([3, 19, 3]), truncation)
    assert_same_images(images, wanted)
    before = generator.generate(["class 3"], [5], truncation=1.0)
    generator.generate(["class 3"], [5], truncation=0.25)
    assert torch.equal(generator.generate(["class 3"], [5], truncation=1.0), before)  # nothing is left of another
