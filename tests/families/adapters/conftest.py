"""Tiny pipelines of many kinds, as diffusers writes them, and models that live elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch

from trilemma.card import Card, load_card
from trilemma.data import scenes

SIDE = 16
TEXT = 16  # channels of the text encoders
TINY_KL: dict[str, Any] = {
    "block_out_channels": (8, 8), "layers_per_block": 1, "norm_num_groups": 4, "latent_channels": 4,
    "down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2, "sample_size": SIDE,
}  # fmt: skip
TINY_UNET: dict[str, Any] = {
    "sample_size": SIDE // 2, "in_channels": 4, "out_channels": 4, "layers_per_block": 1, "norm_num_groups": 4,
    "block_out_channels": (8, 16), "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"), "attention_head_dim": 2, "cross_attention_dim": TEXT,
}  # fmt: skip
PLAIN_UNET: dict[str, Any] = {
    "layers_per_block": 1, "norm_num_groups": 4, "block_out_channels": (8, 16), "attention_head_dim": 4,
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
}  # fmt: skip
ASKED = ["a red circle on green stripes", "a white star on purple dots", *scenes.captions("contract", range(400))]
CLASSES = list(dict.fromkeys(ASKED))


def text_parts(*, projected: bool = False) -> tuple[Any, Any]:
    """A CLIP text encoder and its tokenizer."""
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    from trilemma.training.text_encoder import build_tokenizer, text_config

    tokenizer = build_tokenizer(scenes.vocabulary())
    kind = CLIPTextModelWithProjection if projected else CLIPTextModel
    return kind(text_config(tokenizer, TEXT)), tokenizer


def t5_encoder(width: int = TEXT) -> Any:
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(
        T5Config(vocab_size=1000, d_model=width, d_kv=4, d_ff=16, num_layers=1, num_heads=2, pad_token_id=0)
    )


def autoencoder(**others: Any) -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(**TINY_KL | others)


def make_sd() -> Any:
    from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel

    encoder, tokenizer = text_parts()
    return StableDiffusionPipeline(
        unet=UNet2DConditionModel(**TINY_UNET), vae=autoencoder(), text_encoder=encoder, tokenizer=tokenizer,
        scheduler=DDIMScheduler(clip_sample=False, set_alpha_to_one=False), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    )  # fmt: skip


def make_lcm() -> Any:
    from diffusers import LatentConsistencyModelPipeline, LCMScheduler, UNet2DConditionModel

    encoder, tokenizer = text_parts()
    return LatentConsistencyModelPipeline(
        unet=UNet2DConditionModel(**TINY_UNET, time_cond_proj_dim=16), vae=autoencoder(), text_encoder=encoder,
        tokenizer=tokenizer, scheduler=LCMScheduler(), safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    )  # fmt: skip


def make_sdxl() -> Any:
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel

    first, tokenizer = text_parts()
    second, second_tokenizer = text_parts(projected=True)
    unet = UNet2DConditionModel(
        **TINY_UNET | {"cross_attention_dim": 2 * TEXT}, addition_embed_type="text_time", addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + TEXT,
    )  # fmt: skip
    return StableDiffusionXLPipeline(
        unet=unet, vae=autoencoder(), text_encoder=first, tokenizer=tokenizer, text_encoder_2=second,
        tokenizer_2=second_tokenizer, scheduler=EulerDiscreteScheduler(timestep_spacing="trailing"),
        add_watermarker=False,
    )  # fmt: skip


def make_sd3() -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel, StableDiffusion3Pipeline

    (first, tokenizer), (second, second_tokenizer) = text_parts(projected=True), text_parts(projected=True)
    transformer = SD3Transformer2DModel(
        sample_size=SIDE // 2, patch_size=1, in_channels=4, out_channels=4, num_layers=1, attention_head_dim=8,
        num_attention_heads=2, joint_attention_dim=2 * TEXT, caption_projection_dim=16,
        pooled_projection_dim=2 * TEXT,
    )  # fmt: skip
    return StableDiffusion3Pipeline(
        transformer=transformer, vae=autoencoder(shift_factor=0.06), scheduler=FlowMatchEulerDiscreteScheduler(),
        text_encoder=first, tokenizer=tokenizer, text_encoder_2=second, tokenizer_2=second_tokenizer,
        text_encoder_3=None, tokenizer_3=None,
    )  # fmt: skip


def make_flux(*, guided: bool = True) -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel

    first, tokenizer = text_parts()
    transformer = FluxTransformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=TEXT, pooled_projection_dim=TEXT, axes_dims_rope=(4, 4, 8), guidance_embeds=guided,
    )  # fmt: skip
    return FluxPipeline(
        transformer=transformer, vae=autoencoder(shift_factor=0.1, use_quant_conv=False, use_post_quant_conv=False),
        scheduler=FlowMatchEulerDiscreteScheduler(), text_encoder=first, tokenizer=tokenizer,
        text_encoder_2=t5_encoder(), tokenizer_2=tokenizer,
    )  # fmt: skip


def make_pixart() -> Any:
    from diffusers import DPMSolverMultistepScheduler, PixArtSigmaPipeline, PixArtTransformer2DModel

    transformer = PixArtTransformer2DModel(
        sample_size=SIDE // 2, num_layers=1, patch_size=2, attention_head_dim=8, num_attention_heads=2, in_channels=4,
        out_channels=8, cross_attention_dim=16, caption_channels=TEXT, norm_num_groups=4,
        use_additional_conditions=False,
    )  # fmt: skip
    return PixArtSigmaPipeline(
        transformer=transformer, vae=autoencoder(), text_encoder=t5_encoder(), tokenizer=text_parts()[1],
        scheduler=DPMSolverMultistepScheduler(),
    )  # fmt: skip


def make_sana() -> Any:
    from diffusers import AutoencoderDC, FlowMatchEulerDiscreteScheduler, SanaPipeline, SanaTransformer2DModel
    from transformers import Gemma2Config, Gemma2Model

    vae = AutoencoderDC(
        latent_channels=4, attention_head_dim=2, encoder_block_types=("ResBlock", "EfficientViTBlock"),
        decoder_block_types=("ResBlock", "EfficientViTBlock"), encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8), encoder_qkv_multiscales=((), (5,)), decoder_qkv_multiscales=((), (5,)),
        encoder_layers_per_block=(1, 1), decoder_layers_per_block=(1, 1), downsample_block_type="conv",
        upsample_block_type="interpolate", decoder_norm_types="rms_norm", decoder_act_fns="silu",
    )  # fmt: skip
    transformer = SanaTransformer2DModel(
        patch_size=1, in_channels=4, out_channels=4, num_layers=1, num_attention_heads=2, attention_head_dim=4,
        num_cross_attention_heads=2, cross_attention_head_dim=4, cross_attention_dim=8, caption_channels=8,
        sample_size=SIDE // 2,
    )  # fmt: skip
    encoder = Gemma2Model(
        Gemma2Config(
            vocab_size=1000, hidden_size=8, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
            num_key_value_heads=2, head_dim=4,
        )
    )  # fmt: skip
    return SanaPipeline(
        transformer=transformer, vae=vae, text_encoder=encoder, tokenizer=text_parts()[1],
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    )  # fmt: skip


def make_dit() -> Any:
    from diffusers import DDIMScheduler, DiTPipeline, DiTTransformer2DModel

    transformer = DiTTransformer2DModel(
        sample_size=SIDE // 2, num_layers=1, patch_size=2, attention_head_dim=8, num_attention_heads=2, in_channels=4,
        out_channels=8, num_embeds_ada_norm=1000,
    )  # fmt: skip
    return DiTPipeline(transformer=transformer, vae=autoencoder(), scheduler=DDIMScheduler(clip_sample=False))


def make_ddpm() -> Any:
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    return DDPMPipeline(unet=UNet2DModel(sample_size=SIDE, **PLAIN_UNET), scheduler=DDPMScheduler())


def make_grey() -> Any:
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    unet = UNet2DModel(sample_size=SIDE, in_channels=1, out_channels=1, **PLAIN_UNET)
    return DDPMPipeline(unet=unet, scheduler=DDPMScheduler())


def make_consistency() -> Any:
    from diffusers import CMStochasticIterativeScheduler, ConsistencyModelPipeline, UNet2DModel

    unet = UNet2DModel(sample_size=SIDE, num_class_embeds=1000, **PLAIN_UNET)
    return ConsistencyModelPipeline(unet=unet, scheduler=CMStochasticIterativeScheduler())


def make_ldm_uncond() -> Any:
    from diffusers import DDIMScheduler, LDMPipeline, UNet2DModel, VQModel

    vae = VQModel(
        block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=4, latent_channels=3, num_vq_embeddings=32,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    )  # fmt: skip
    return LDMPipeline(
        vqvae=vae, unet=UNet2DModel(sample_size=SIDE // 2, **PLAIN_UNET), scheduler=DDIMScheduler(clip_sample=False)
    )


MAKERS: dict[str, Callable[[], Any]] = {
    "sd": make_sd, "lcm": make_lcm, "sdxl": make_sdxl, "sd3": make_sd3, "flux": make_flux, "pixart": make_pixart,
    "sana": make_sana, "dit": make_dit, "ddpm": make_ddpm, "grey": make_grey, "consistency": make_consistency,
    "ldm-uncond": make_ldm_uncond, "schnell": lambda: make_flux(guided=False),
}  # fmt: skip
# What their cards say beside their resolution: few steps, and names for the classes of those that have any.
NAMED = "classes = " + json.dumps(CLASSES + [f"number {n}" for n in range(len(CLASSES), 1000)])
CARDS = {
    "ddpm": "[knobs]\nnum_inference_steps = 3", "grey": "[knobs]\nnum_inference_steps = 3",
    "dit": f"[knobs]\nnum_inference_steps = 3\n[options]\n{NAMED}", "consistency": f"[options]\n{NAMED}",
}  # fmt: skip
FEW = "[knobs]\nnum_inference_steps = 3"
# What stands in the index of the published DiT.
INDEXED = {"dit": {"id2label": {"0": "tench, Tinca tinca", "1": "crane", "2": "crane", "3": "goldfish"}}}


@pytest.fixture(scope="session")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Card]:
    """Writes a tiny pipeline with a card beside it the first time that it is asked for, weights drawn by its name."""
    root = tmp_path_factory.mktemp("pipelines")
    done: dict[str, Card] = {}

    def card(name: str) -> Card:
        if name not in done:
            folder = root / name
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(sum(map(ord, name)))
                made = MAKERS[name]()
                _spread(made)
            made.save_pretrained(folder)
            index = json.loads((folder / "model_index.json").read_text())
            (folder / "model_index.json").write_text(json.dumps(index | INDEXED.get(name, {})))
            side = 32 if name == "sana" else SIDE  # nothing smaller is allowed
            text = f'name = "{name}"\nfamily = "diffusers"\nresolution = {side}\n{CARDS.get(name, FEW)}\n'
            (folder / "card.toml").write_text(text)
            done[name] = load_card(folder)
        return done[name]

    return card


@torch.no_grad()
def _spread(pipeline: Any) -> None:
    """Layers that a constructor leaves at zero would hide what an image depends on, and codes that nearly agree would
    make of a rounding another image."""
    for part in pipeline.components.values():
        for name, parameter in part.named_parameters() if isinstance(part, torch.nn.Module) else ():
            if not parameter.any():
                parameter.normal_(std=0.1)
            elif name == "quantize.embedding.weight":
                parameter.normal_()


@pytest.fixture(scope="session")
def named_classes() -> str:
    """A line for a card's [options]: 1,000 classes, named after prompts."""
    return NAMED
