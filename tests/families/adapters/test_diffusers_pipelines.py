"""Pipelines of many kinds through one adapter: their images are those that diffusers itself makes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from trilemma import at_hand, registry
from trilemma.card import Card, Precision
from trilemma.errors import UserError
from trilemma.families.diffusers_pipeline import Pipeline, load
from trilemma.families.pixels import to_pixels
from trilemma.generator import Noised, SampleStreams

Pipelines = Callable[[str], Card]
PROMPTS = ["a red star on green dots", "a blue ring"]
SEEDS = [5, 6]
EVERY = {"compile", "bf16", "fp16"}
SEEN = EVERY | {"trace", "noising"}
BY_INPUT, CLASSES, NOTHING = {"guided-by-input"}, {"class-conditional"}, {"unconditional"}
TEXTS = ("sd", "lcm", "sdxl", "sd3", "flux", "schnell", "pixart", "sana")


def images(model: Pipeline, prompts: list[str] = PROMPTS, seeds: list[int] = SEEDS, **knobs: float) -> Tensor:
    return model.generate(prompts, seeds, **knobs)


@pytest.mark.parametrize(
    ("name", "condition", "knobs", "capabilities"),
    [
        ("sd", "text", {"num_inference_steps": 50, "guidance_scale": 7.5}, SEEN),
        ("lcm", "text", {"num_inference_steps": 4, "guidance_scale": 8.5}, SEEN | BY_INPUT),
        ("sdxl", "text", {"num_inference_steps": 50, "guidance_scale": 5.0}, SEEN),
        ("sd3", "text", {"num_inference_steps": 28, "guidance_scale": 7.0}, EVERY | {"trace"}),
        ("flux", "text", {"num_inference_steps": 28, "guidance_scale": 3.5}, EVERY | {"trace"} | BY_INPUT),
        ("schnell", "text", {"num_inference_steps": 28}, EVERY | {"trace"}),
        ("pixart", "text", {"num_inference_steps": 20, "guidance_scale": 4.5}, EVERY | {"noising"}),
        ("sana", "text", {"num_inference_steps": 20, "guidance_scale": 4.5}, EVERY | {"trace"}),
        ("dit", "class", {"num_inference_steps": 50, "guidance_scale": 4.0}, CLASSES | {"compile", "noising"}),
        ("ddpm", "none", {"num_inference_steps": 1000}, NOTHING | {"compile"}),
        ("consistency", "class", {"num_inference_steps": 1}, EVERY | CLASSES),
        ("ldm-uncond", "none", {"num_inference_steps": 50}, NOTHING | {"compile"}),
    ],
)  # fmt: skip
def test_each_says_what_it_takes(
    pipelines: Pipelines, name: str, condition: str, knobs: dict[str, float], capabilities: set[str]
) -> None:
    model = load(pipelines(name), "cpu")
    assert model.call.condition == condition
    assert {knob.name: knob.default for knob in model.info.knobs} == knobs
    assert model.info.capabilities == capabilities


@pytest.mark.parametrize("name", TEXTS)
def test_images_of_prompts_are_those_of_diffusers(pipelines: Pipelines, name: str) -> None:
    model = load(pipelines(name), "cpu")
    settings = {"num_inference_steps": 3} | ({"guidance_scale": 2.0} if "guidance_scale" in knobs_of(model) else {})
    own = {"use_resolution_binning": False, "clean_caption": False} if name in ("pixart", "sana") else {}
    side = model.info.resolution
    wanted = opened(pipelines(name))(
        PROMPTS, height=side, width=side, generator=generators(), output_type="np", **settings, **own
    )
    assert_same(images(model, **settings), wanted.images)


def test_images_of_classes_are_those_of_diffusers(pipelines: Pipelines) -> None:
    dit, consistency = load(pipelines("dit"), "cpu"), load(pipelines("consistency"), "cpu")
    classes = ["class 3", "class 999"]
    settings = {"num_inference_steps": 3, "guidance_scale": 1.5}
    wanted = opened(pipelines("dit"))([3, 999], generator=generators(), output_type="np", **settings).images
    assert_same(images(dit, classes, **settings), wanted)
    wanted = opened(pipelines("consistency"))(2, [3, 999], 2, generator=generators(), output_type="np").images
    assert_same(images(consistency, classes, num_inference_steps=2), wanted)


@pytest.mark.parametrize("name", ("ddpm", "ldm-uncond"))
def test_images_of_noise_are_those_of_diffusers(pipelines: Pipelines, name: str) -> None:
    wanted = opened(pipelines(name))(2, generator=generators(), num_inference_steps=3, output_type="np").images
    model = load(pipelines(name), "cpu")
    assert_same(images(model, num_inference_steps=3), wanted)
    assert torch.equal(images(model, ["", ""], num_inference_steps=3), images(model, num_inference_steps=3))


def test_an_autoencoder_that_states_no_factor_has_none(pipelines: Pipelines, tmp_path: Path) -> None:
    """diffusers would divide the latents by 0.18215, which is the factor of another autoencoder."""
    folder = shutil.copytree(pipelines("ldm-uncond").path, tmp_path / "unscaled")
    config = folder / "vqvae" / "config.json"
    stored = json.loads(config.read_text())
    made = {}
    for factor in (None, 1.0, 0.5):
        said = {name: value for name, value in stored.items() if name != "scaling_factor"}
        config.write_text(json.dumps(said if factor is None else said | {"scaling_factor": factor}))
        model = load(replace(pipelines("ldm-uncond"), path=folder), "cpu")
        assert model.pipeline.vqvae.config.scaling_factor == (1.0 if factor is None else factor)
        made[factor] = images(model, num_inference_steps=3)
    assert torch.equal(made[None], made[1.0]) and not torch.equal(made[None], made[0.5])


def test_grey_images_become_rgb(pipelines: Pipelines) -> None:
    made = images(load(pipelines("grey"), "cpu"), num_inference_steps=2)
    assert made.shape == (2, 3, 16, 16)
    assert torch.equal(made[:, 0], made[:, 2]) and made.amax() > made.amin()


def test_whatever_a_pipeline_returns_becomes_uint8() -> None:
    floats = torch.rand(2, 3, 4, 4)
    wanted = (floats * 255).round().to(torch.uint8)
    channels_last = floats.permute(0, 2, 3, 1).numpy()
    pillow = [Image.fromarray(np.rint(image * 255).astype(np.uint8)) for image in channels_last]
    for given in (floats, channels_last, pillow):
        assert torch.equal(to_pixels(given), wanted)
    assert torch.equal(to_pixels(channels_last[..., 0]), wanted[:, :1].expand(-1, 3, -1, -1))
    assert to_pixels(torch.tensor([[[[-0.2, 1.3]]]])).flatten(1)[0].tolist() == [0, 255] * 3


def test_a_scheduler_that_draws_draws_from_each_images_own_stream(pipelines: Pipelines) -> None:
    """DiT's pipeline hands its scheduler no generator: it would draw from the state that everything shares."""
    model = load(with_options(pipelines("dit"), scheduler="DDPMScheduler"), "cpu")
    settings = {"num_inference_steps": 4, "guidance_scale": 2.0}
    before = torch.get_rng_state()
    both = images(model, ["class 1", "class 2"], **settings)
    assert torch.equal(torch.get_rng_state(), before)
    alone = images(model, ["class 2"], [6], **settings)
    assert (both[1:].int() - alone.int()).abs().max() <= 1
    plain = images(load(pipelines("dit"), "cpu"), ["class 1", "class 2"], **settings)
    assert not torch.equal(both, plain)


@pytest.mark.parametrize(("name", "passes"), [("sd", 2), ("sdxl", 2), ("dit", 2), ("flux", 1), ("lcm", 1)])
def test_guidance_costs_a_pass_unless_it_is_an_input(pipelines: Pipelines, name: str, passes: int) -> None:
    model = load(pipelines(name), "cpu")
    prompts = ["class 1", "class 2"] if name == "dit" else PROMPTS
    free = images(model, prompts, num_inference_steps=2, guidance_scale=1.0)
    assert model.evaluations == 2 * 2
    strong = images(model, prompts, num_inference_steps=2, guidance_scale=9.0)
    assert model.evaluations == 2 * 2 + passes * 2 * 2
    assert not torch.equal(free, strong)


def test_an_empty_prompt_among_others_is_the_same_image(pipelines: Pipelines) -> None:
    """SDXL guides away from zeros, not from the empty prompt: it must be run guided alone too."""
    for name in ("sdxl", "sd3", "lcm", "dit"):
        model = load(pipelines(name), "cpu")
        named = "class 1" if name == "dit" else PROMPTS[0]
        mixed = images(model, [named, ""], num_inference_steps=3, guidance_scale=4.0)[1]
        alone = images(model, [""], [6], num_inference_steps=3, guidance_scale=4.0)[0]
        assert (mixed.int() - alone.int()).abs().max() <= 1


def test_a_model_knows_no_more_steps_than_its_scheduler(pipelines: Pipelines) -> None:
    most = {
        name: knobs_of(load(pipelines(name), "cpu"))["num_inference_steps"].maximum for name in ("lcm", "consistency")
    }
    assert most == {"lcm": 50, "consistency": 40}


def test_classes_are_called_by_name_or_number(pipelines: Pipelines) -> None:
    model = load(replace(pipelines("dit"), options={}), "cpu")
    settings = {"num_inference_steps": 2}
    for prompt in ("tench", "Tinca tinca", " TENCH "):
        assert torch.equal(images(model, [prompt], [1], **settings), images(model, ["class 0"], [1], **settings))
    with pytest.raises(UserError, match='"class 1000" is none of the 1000 classes.*from 0 to 999'):
        images(model, ["class 1000"], [1])
    with pytest.raises(UserError, match='Did you mean "goldfish"'):
        images(model, ["golfish"], [1])
    with pytest.raises(UserError, match='"crane" is none'):  # two classes are called so
        images(model, ["crane"], [1])


def test_imagenets_names_are_torchvisions(pipelines: Pipelines) -> None:
    model = load(with_options(pipelines("consistency"), classes="imagenet"), "cpu")
    assert torch.equal(images(model, ["Golden Retriever"], [1]), images(model, ["class 207"], [1]))
    with pytest.raises(UserError, match="these are 3 classes; the model has 1000"):
        load(with_options(pipelines("consistency"), classes=["a", "b", "c"]), "cpu")


def test_without_a_null_class_the_seed_draws_one(pipelines: Pipelines) -> None:
    model = load(pipelines("consistency"), "cpu")
    labels = [model._labels([""], [seed])[0] for seed in range(300)]
    assert len(set(labels)) > 200 and 350 < sum(labels) / 300 < 650
    assert model._labels(["", "class 4"], [7, 8]) == [labels[7], 4]
    assert load(pipelines("dit"), "cpu")._labels([""], [7]) == [1000]


def test_the_cards_resolution_is_the_pipelines(pipelines: Pipelines) -> None:
    assert images(load(replace(pipelines("sd"), resolution=32), "cpu")).shape == (2, 3, 32, 32)
    for name in ("ddpm", "ldm-uncond", "dit", "consistency"):
        with pytest.raises(UserError, match="makes images of 16x16. Say 16"):
            load(replace(pipelines(name), resolution=32), "cpu")


@pytest.mark.parametrize("precision", ("bf16", "fp16"))
def test_the_first_noise_is_drawn_in_float32(pipelines: Pipelines, precision: Precision) -> None:
    """Drawn in a short type, the numbers of a stream are others: the images would have nothing in common."""
    for name in ("sdxl", "sd3", "consistency"):
        plain, short = (registry.load(replace(pipelines(name), precision=p), "cpu") for p in ("fp32", precision))
        prompts = ["class 1", "class 2"] if name == "consistency" else PROMPTS
        assert isinstance(short, Pipeline) and isinstance(plain, Pipeline)
        far = (images(short, prompts).float() - images(plain, prompts).float()).abs().mean()
        assert far < 6
        other = (images(plain, prompts).float() - images(plain, prompts, [8, 9]).float()).abs().mean()
        assert far < 0.5 * other


def test_a_trace_of_latents_with_a_shift_ends_in_the_image(pipelines: Pipelines) -> None:
    for name in ("sd3", "flux", "sana"):
        model = load(pipelines(name), "cpu")
        frames = model.trace(PROMPTS, SEEDS, num_inference_steps=3)
        assert len(frames) == 3
        assert torch.equal(frames[-1], images(model, num_inference_steps=3))


def test_noise_ends_where_sampling_begins(pipelines: Pipelines) -> None:
    model = load(pipelines("sdxl"), "cpu")
    noised = model.noise(images(model), SEEDS, num_inference_steps=20)
    assert isinstance(noised, Noised) and len(noised.frames) == 20
    latents = model.latents.encode(images(model))
    sigma = model.pipeline.scheduler.sigmas[0]
    begun = model.latents.decode(latents + sigma * SampleStreams(SEEDS).normal(*latents.shape[1:]), 16)
    assert (noised.frames[-1].float() - to_pixels(begun).float()).abs().max() <= 1


def test_neither_checker_nor_watermark_touches_an_image(pipelines: Pipelines, tmp_path: Path) -> None:
    folder = shutil.copytree(pipelines("sd").path, tmp_path / "checked")
    index = json.loads((folder / "model_index.json").read_text())
    checker = {"safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"], "requires_safety_checker": True}
    (folder / "model_index.json").write_text(json.dumps(index | checker))
    model = load(replace(pipelines("sd"), path=folder), "cpu")
    assert model.pipeline.safety_checker is None and not model.pipeline.config.requires_safety_checker
    assert torch.equal(images(model), images(load(pipelines("sd"), "cpu")))
    assert load(pipelines("sdxl"), "cpu").pipeline.watermark is None


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"_class_name": ["pipeline", "MyPipeline"]}, "is no pipeline of diffusers; a pipeline's own code is not run"),
        ({"_class_name": "MyPipeline"}, "'MyPipeline' is no pipeline of diffusers"),
        ({"unet": ["my_unet", "MyUNet"]}, '"unet" is of "my_unet"; code that comes with weights is not run'),
        ({"unet": ["diffusers", "MyUNet"]}, "cannot be opened"),  # there is a file diffusers.py beside the weights
        ({"_class_name": "StableDiffusionImageVariationPipeline"}, "cannot be opened|needs image"),
    ],
)
def test_code_of_others_is_never_run(pipelines: Pipelines, tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    folder = shutil.copytree(pipelines("sd").path, tmp_path / "changed")
    canary = tmp_path / "canary"
    for place in ("pipeline.py", "unet/my_unet.py", "unet/diffusers.py"):
        (folder / place).write_text(f"open({str(canary)!r}, 'w')\nclass MyPipeline: pass\nclass MyUNet: pass\n")
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | changed))
    with pytest.raises(UserError, match=said):
        load(replace(pipelines("sd"), path=folder), "cpu")
    assert not canary.exists()


def test_a_pickle_is_not_opened(pipelines: Pipelines, tmp_path: Path) -> None:
    folder = shutil.copytree(pipelines("ddpm").path, tmp_path / "pickled")
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save({"a": torch.ones(1)}, weights.with_suffix(".bin"))
    weights.unlink()
    with pytest.raises(UserError, match="cannot be opened.*safetensors"):
        load(replace(pipelines("ddpm"), path=folder), "cpu")


def test_an_unknown_option_is_suggested(pipelines: Pipelines) -> None:
    absent = at_hand.missing(with_options(pipelines("sd"), schedular="DDIMScheduler"))
    assert absent is not None and 'unknown key "schedular". Did you mean "scheduler"' in str(absent)


def knobs_of(model: Pipeline) -> dict[str, Any]:
    return {knob.name: knob for knob in model.info.knobs}


def with_options(card: Card, **options: Any) -> Card:
    return replace(card, options=card.options | options)


def opened(card: Card) -> Any:
    from diffusers import DiffusionPipeline

    without = {"text_encoder_3": None, "tokenizer_3": None} if card.name == "sd3" else {}
    pipeline: Any = DiffusionPipeline.from_pretrained(card.path, **without)  # type: ignore[no-untyped-call]
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def generators() -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in SEEDS]


def assert_same(made: Tensor, wanted: np.ndarray[Any, Any]) -> None:
    assert made.dtype == torch.uint8
    expected = torch.from_numpy(wanted).permute(0, 3, 1, 2) * 255
    assert made.shape == expected.shape and expected.amax() - expected.amin() > 20
    assert (made - expected).abs().max() < 0.6
