"""Small checkpoints as their authors publish them: the same containers, the same names, tiny widths.

Names and shapes are written out here, from the official repositories, and not taken from our networks.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from trilemma.card import Card, load_card
from trilemma.data import scenes

Shapes = dict[str, tuple[int, ...]]
SIDE = 32
CHANNELS, MULTIPLIERS, RES_BLOCKS, LATENT = 32, (1, 1, 2), 1, 8  # of both autoencoders, with 8x8 tokens
CLASSES = 20
VAR_SCALES, VAR_CODES, VAR_WIDTH, VAR_HEADS, VAR_DEPTH = (1, 2, 3, 5, 8), 48, 32, 2, 2
GPT_CODES, GPT_WIDTH, GPT_HEADS, GPT_LAYERS, CODE_WIDTH = 64, 32, 2, 2, 6
GAN_CHANNELS, GAN_LATENT, STATISTICS = 8, 8, 5
GAN_LAYERS = [[False, 4, 4], [True, 4, 4], [False, 4, 4], [True, 4, 2], [False, 2, 2], [True, 2, 1]]
GAN_ATTENTION = 4  # so many blocks lie before it: at 16x16
ASKED = ["a red circle on green stripes", "a white star on purple dots", *scenes.captions("contract", range(400))]
NAMED = "classes = " + json.dumps(list(dict.fromkeys(ASKED))[:CLASSES])


def conv(name: str, after: int, before: int, side: int) -> Shapes:
    return {f"{name}.weight": (after, before, side, side), f"{name}.bias": (after,)}


def linear(name: str, after: int, before: int) -> Shapes:
    return {f"{name}.weight": (after, before), f"{name}.bias": (after,)}


def norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def res_block(name: str, before: int, after: int) -> Shapes:
    shapes = norm(f"{name}.norm1", before) | conv(f"{name}.conv1", after, before, 3)
    shapes |= norm(f"{name}.norm2", after) | conv(f"{name}.conv2", after, after, 3)
    return shapes | (conv(f"{name}.nin_shortcut", after, before, 1) if before != after else {})


def attention(name: str, width: int, *, joined: bool) -> Shapes:
    parts = {"qkv": 3 * width} if joined else dict.fromkeys("qkv", width)
    shapes = norm(f"{name}.norm", width) | conv(f"{name}.proj_out", width, width, 1)
    return shapes | {
        key: shape for part, after in parts.items() for key, shape in conv(f"{name}.{part}", after, width, 1).items()
    }


def middle(name: str, width: int, *, joined: bool) -> Shapes:
    shapes = res_block(f"{name}.mid.block_1", width, width) | res_block(f"{name}.mid.block_2", width, width)
    return shapes | attention(f"{name}.mid.attn_1", width, joined=joined)


def encoder(*, joined: bool) -> Shapes:
    shapes, before, last = conv("encoder.conv_in", CHANNELS, 3, 3), CHANNELS, len(MULTIPLIERS) - 1
    for level, multiplier in enumerate(MULTIPLIERS):
        width = CHANNELS * multiplier
        for block in range(RES_BLOCKS):
            shapes |= res_block(f"encoder.down.{level}.block.{block}", before, width)
            shapes |= attention(f"encoder.down.{level}.attn.{block}", width, joined=joined) if level == last else {}
            before = width
        shapes |= conv(f"encoder.down.{level}.downsample.conv", width, width, 3) if level != last else {}
    shapes |= middle("encoder", before, joined=joined) | norm("encoder.norm_out", before)
    return shapes | conv("encoder.conv_out", LATENT, before, 3)


def decoder(*, joined: bool) -> Shapes:
    before, last = CHANNELS * MULTIPLIERS[-1], len(MULTIPLIERS) - 1
    shapes = conv("decoder.conv_in", before, LATENT, 3) | middle("decoder", before, joined=joined)
    for level in range(last, -1, -1):
        width = CHANNELS * MULTIPLIERS[level]
        for block in range(RES_BLOCKS + 1):
            shapes |= res_block(f"decoder.up.{level}.block.{block}", before, width)
            shapes |= attention(f"decoder.up.{level}.attn.{block}", width, joined=joined) if level == last else {}
            before = width
        shapes |= conv(f"decoder.up.{level}.upsample.conv", width, width, 3) if level else {}
    return shapes | norm("decoder.norm_out", before) | conv("decoder.conv_out", 3, before, 3)


def var_tokenizer() -> Shapes:
    shapes = encoder(joined=True) | decoder(joined=True)
    shapes |= {"quantize.ema_vocab_hit_SV": (10, VAR_CODES), "quantize.embedding.weight": (VAR_CODES, LATENT)}
    for number in range(4):
        shapes |= conv(f"quantize.quant_resi.qresi_ls.{number}", LATENT, LATENT, 3)
    return shapes | conv("quant_conv", LATENT, LATENT, 3) | conv("post_quant_conv", LATENT, LATENT, 3)


def var_transformer(*, shared: bool) -> Shapes:
    width, tokens = VAR_WIDTH, sum(side**2 for side in VAR_SCALES)
    shapes: Shapes = {
        "pos_start": (1, 1, width), "pos_1LC": (1, tokens, width), "class_emb.weight": (CLASSES + 1, width),
        "lvl_embed.weight": (len(VAR_SCALES), width),
    }  # fmt: skip
    shapes |= linear("word_embed", width, LATENT) | linear("head_nm.ada_lin.1", 2 * width, width)
    shapes |= linear("head", VAR_CODES, width) | (linear("shared_ada_lin.1", 6 * width, width) if shared else {})
    for block in (f"blocks.{number}" for number in range(VAR_DEPTH)):
        shapes |= {f"{block}.ada_gss": (1, 1, 6, width)} if shared else linear(f"{block}.ada_lin.1", 6 * width, width)
        shapes |= {f"{block}.attn.{name}": (width,) for name in ("q_bias", "v_bias", "zero_k_bias")}
        shapes |= {f"{block}.attn.scale_mul_1H11": (1, VAR_HEADS, 1, 1)}
        shapes |= {f"{block}.attn.mat_qkv.weight": (3 * width, width)} | linear(f"{block}.attn.proj", width, width)
        shapes |= linear(f"{block}.ffn.fc1", 4 * width, width) | linear(f"{block}.ffn.fc2", width, 4 * width)
    return shapes


def gpt(*, tokens: int) -> Shapes:
    width = GPT_WIDTH
    shapes: Shapes = {"tok_emb.weight": (GPT_CODES, width), "pos_emb": (1, tokens, width)}
    shapes |= norm("ln_f", width) | {"head.weight": (GPT_CODES, width)}
    for block in (f"blocks.{number}" for number in range(GPT_LAYERS)):
        shapes |= norm(f"{block}.ln1", width) | norm(f"{block}.ln2", width)
        shapes |= {f"{block}.attn.mask": (1, 1, tokens, tokens)}
        for part in ("key", "query", "value", "proj"):
            shapes |= linear(f"{block}.attn.{part}", width, width)
        shapes |= linear(f"{block}.mlp.0", 4 * width, width) | linear(f"{block}.mlp.2", width, 4 * width)
    return shapes


def vqgan() -> Shapes:
    shapes = encoder(joined=False) | decoder(joined=False) | {"quantize.embedding.weight": (GPT_CODES, CODE_WIDTH)}
    shapes |= conv("quant_conv", CODE_WIDTH, LATENT, 1) | conv("post_quant_conv", LATENT, CODE_WIDTH, 1)
    return shapes | conv("loss.discriminator.main.0", 4, 3, 4)  # what training alone needs is in the file as well


def drawn(shapes: Shapes, seed: int) -> dict[str, Tensor]:
    """Weights of the size of trained ones, so that everything matters in the images."""
    generator = torch.Generator().manual_seed(seed)
    return {name: _drawn(name, shape, generator) for name, shape in shapes.items()}


def _drawn(name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    noise = torch.randn(shape, generator=generator)
    if name.endswith("scale_mul_1H11"):
        return math.log(4) + 0.2 * noise
    if name.endswith("zero_k_bias"):
        return torch.zeros(shape)
    if "emb" in name or name.startswith(("pos_", "lvl_")):
        return noise
    if len(shape) > 1:
        return 1.5 * noise / math.sqrt(math.prod(shape[1:]))
    return 1 + 0.1 * noise if "norm" in name or ".ln" in name or name.startswith("ln_") else 0.1 * noise


def write_var(folder: Path, *, shared: bool = False) -> Card:
    """Two plain state dicts."""
    state = drawn(var_transformer(shared=shared), 1)
    levels = torch.cat([torch.full((side**2,), level) for level, side in enumerate(VAR_SCALES)])
    later = levels[:, None] >= levels[None, :]
    state |= {"lvl_1L": levels[None], "attn_bias_for_masking": torch.where(later, 0.0, -torch.inf)[None, None]}
    torch.save(state, folder / "var_d2.pth")
    torch.save(drawn(var_tokenizer(), 2), folder / "vae.pth")
    (folder / "card.toml").write_text(
        f"""name = "{folder.name}"
family = "var"
resolution = {SIDE}
[knobs]
top_k = 30
top_p = 0.96
[options]
guidance_schedule = "linear"
cfg = 1.5
transformer = "var_d2.pth"
tokenizer = "vae.pth"
{NAMED}
[network]
resolution = {SIDE}
channels = {CHANNELS}
multipliers = {list(MULTIPLIERS)}
res_blocks = {RES_BLOCKS}
attention = [8]
groups = 32
latent = {LATENT}
codes = {VAR_CODES}
scales = {list(VAR_SCALES)}
depth = {VAR_DEPTH}
heads = {VAR_HEADS}
width = {VAR_WIDTH}
shared_ada = {str(shared).lower()}
classes = {CLASSES}
"""
    )
    return load_card(folder)


def taming_config(*, unconditional: bool) -> dict[str, Any]:
    ddconfig = {
        "double_z": False, "z_channels": LATENT, "resolution": SIDE, "in_channels": 3, "out_ch": 3, "ch": CHANNELS,
        "ch_mult": list(MULTIPLIERS), "num_res_blocks": RES_BLOCKS, "attn_resolutions": [8], "dropout": 0.0,
    }  # fmt: skip
    first = {
        "embed_dim": CODE_WIDTH,
        "n_embed": GPT_CODES,
        "ddconfig": ddconfig,
        "lossconfig": {"target": "no.such.Loss"},
    }
    gpt_config = {
        "vocab_size": GPT_CODES,
        "block_size": 64,
        "n_layer": GPT_LAYERS,
        "n_head": GPT_HEADS,
        "n_embd": GPT_WIDTH,
    }
    condition: Any = {"target": "taming.modules.util.Labelator", "params": {"n_classes": CLASSES}}
    parameters = {
        "cond_stage_key": "class_label",
        "transformer_config": {"target": "taming.modules.transformer.mingpt.GPT", "params": gpt_config},
        "first_stage_config": {"target": "taming.models.vqgan.VQModel", "params": first},
        "cond_stage_config": "__is_unconditional__" if unconditional else condition,
    } | ({"sos_token": 3} if unconditional else {})
    model = {"base_learning_rate": 4.5e-6, "target": "taming.models.cond_transformer.Net2NetTransformer"}
    return {"model": model | {"params": parameters}}


def write_taming(folder: Path, *, unconditional: bool = False) -> Card:
    """A project's YAML, and Lightning's checkpoint."""
    for name in ("configs", "checkpoints"):
        (folder / name).mkdir()
    (folder / "configs" / "project.yaml").write_text(yaml.safe_dump(taming_config(unconditional=unconditional)))
    parts = {"transformer": drawn(gpt(tokens=64), 3), "first_stage_model": drawn(vqgan(), 4)}
    for block in range(GPT_LAYERS):
        parts["transformer"][f"blocks.{block}.attn.mask"] = torch.ones(64, 64).tril()[None, None]
    state = {f"{part}.{name}": value for part, tensors in parts.items() for name, value in tensors.items()}
    torch.save({"epoch": 1, "global_step": 7, "state_dict": state}, folder / "checkpoints" / "last.ckpt")
    (folder / "card.toml").write_text(
        f'name = "{folder.name}"\nfamily = "taming"\nresolution = {SIDE}\n[knobs]\ntop_k = 40\ntop_p = 0.92\n'
        "[options]\n"
        f'config = "configs/project.yaml"\ncheckpoint = "checkpoints/last.ckpt"\n{"" if unconditional else NAMED}\n'
    )
    return load_card(folder)


def spectral(name: str, *shape: int, bias: bool = True) -> Shapes:
    """What torch's older spectral norm keeps of a weight."""
    before = math.prod(shape[1:])
    shapes = {f"{name}.weight_orig": shape, f"{name}.weight_u": (shape[0],), f"{name}.weight_v": (before,)}
    return shapes | ({f"{name}.bias": (shape[0],)} if bias else {})


def stored_norm(name: str, width: int, condition: int | None = None) -> Shapes:
    shapes: Shapes = {f"{name}.running_means": (STATISTICS, width), f"{name}.running_vars": (STATISTICS, width)}
    if condition is None:
        return shapes | norm(name, width)
    shapes |= spectral(f"{name}.scale", width, condition, bias=False)
    return shapes | spectral(f"{name}.offset", width, condition, bias=False)


def biggan() -> Shapes:
    condition = 2 * GAN_LATENT
    shapes: Shapes = {"embeddings.weight": (GAN_LATENT, CLASSES)}
    shapes |= spectral("generator.gen_z", 16 * 4 * GAN_CHANNELS, condition)
    for number, (_, before, after) in enumerate(GAN_LAYERS):
        name = f"generator.layers.{number + (number >= GAN_ATTENTION)}"
        wide, middle_width, last = before * GAN_CHANNELS, before * GAN_CHANNELS // 4, after * GAN_CHANNELS
        for place, width in enumerate((wide, middle_width, middle_width, middle_width)):
            shapes |= stored_norm(f"{name}.bn_{place}", width, condition)
        shapes |= spectral(f"{name}.conv_0", middle_width, wide, 1, 1)
        shapes |= spectral(f"{name}.conv_1", middle_width, middle_width, 3, 3)
        shapes |= spectral(f"{name}.conv_2", middle_width, middle_width, 3, 3)
        shapes |= spectral(f"{name}.conv_3", last, middle_width, 1, 1)
    width, name = 2 * GAN_CHANNELS, f"generator.layers.{GAN_ATTENTION}"
    for part, after, before in (("theta", 8, 1), ("phi", 8, 1), ("g", 2, 1)):
        shapes |= spectral(f"{name}.snconv1x1_{part}", width // after, width // before, 1, 1, bias=False)
    shapes |= spectral(f"{name}.snconv1x1_o_conv", width, width // 2, 1, 1, bias=False) | {f"{name}.gamma": (1,)}
    return (
        shapes
        | stored_norm("generator.bn", GAN_CHANNELS)
        | spectral("generator.conv_to_rgb", GAN_CHANNELS, GAN_CHANNELS, 3, 3)
    )


def write_biggan(folder: Path) -> Card:
    """A JSON, and a plain state dict with torch's older names of spectral norm."""
    state = drawn(biggan(), 5)
    for name in list(state):
        if name.endswith("running_vars"):
            state[name] = 0.5 + state[name].square()
        elif name.endswith("weight_orig"):
            before = name.removesuffix("orig")
            left, _, right = torch.linalg.svd(state[name].flatten(1), full_matrices=False)
            state |= {f"{before}u": left[:, 0], f"{before}v": right[0]}
        elif name.endswith("gamma"):
            state[name] = torch.tensor([0.7])
    state["generator.bn.weight"] *= 6  # or what all these normed layers leave is nearly grey
    torch.save(state, folder / "pytorch_model.bin")
    config = {
        "output_dim": SIDE, "z_dim": GAN_LATENT, "class_embed_dim": GAN_LATENT, "channel_width": GAN_CHANNELS,
        "num_classes": CLASSES, "layers": GAN_LAYERS, "attention_layer_position": GAN_ATTENTION, "eps": 1e-4,
        "n_stats": STATISTICS,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "card.toml").write_text(
        f'name = "{folder.name}"\nfamily = "biggan"\nresolution = {SIDE}\n[options]\nconfig = "config.json"\n'
        f'checkpoint = "pytorch_model.bin"\n{NAMED}\n'
    )
    return load_card(folder)


WRITERS: dict[str, Callable[[Path], Card]] = {
    "var": write_var,
    "var-shared": lambda folder: write_var(folder, shared=True),
    "taming": write_taming,
    "taming-unconditional": lambda folder: write_taming(folder, unconditional=True),
    "biggan": write_biggan,
}


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Card]:
    """Writes a small checkpoint with a card beside it the first time that it is asked for."""
    root = tmp_path_factory.mktemp("published")
    done: dict[str, Card] = {}

    def card(name: str) -> Card:
        if name not in done:
            (root / name).mkdir()
            done[name] = WRITERS[name](root / name)
        return done[name]

    return card


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever asks the network for anything fails."""
    import socket

    def refuse(*arguments: Any, **options: Any) -> Any:
        raise AssertionError("something is asked of the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    yield
