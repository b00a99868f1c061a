"""The pipeline folder: diffusers opens it unaided; training and sampling mean the same flow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trilemma.card import Card
from trilemma.data.scenes_data import ScenesData
from trilemma.errors import UserError
from trilemma.families.diffusers_cards import pipeline_card
from trilemma.families.diffusers_pipeline import Pipeline, load
from trilemma.families.pixels import to_pixels
from trilemma.families.schedulers import step_by_host_times
from trilemma.families.text import TextEncoder
from trilemma.generator import SampleStreams
from trilemma.training import latent_diffusion as recipe
from trilemma.training.loop import Step
from trilemma.training.split import TrainingSplit

NETWORK = recipe.LatentDiffusionNetwork(channels=(16, 16, 16), unet_channels=(16, 16), heads=2)
PROMPTS = ["a red star on green dots", ""]


@pytest.fixture
def folder(trained: Callable[[str], Card]) -> Path:
    return trained("ldm").path


@pytest.fixture
def pipeline(trained: Callable[[str], Card]) -> Pipeline:
    return load(trained("ldm"), "cpu")


def test_diffusers_opens_the_folder_unaided(folder: Path) -> None:
    from diffusers import DiffusionPipeline

    opened: Any = DiffusionPipeline.from_pretrained(folder)  # type: ignore[no-untyped-call]
    opened.set_progress_bar_config(disable=True)
    images = opened(PROMPTS, num_inference_steps=2, height=32, width=32, output_type="np").images
    assert images.shape == (2, 32, 32, 3)


def test_a_bare_pipeline_folder_is_a_model(folder: Path) -> None:
    card = pipeline_card(folder)
    assert card.resolution == 32
    assert load(card, "cpu").generate(PROMPTS, [1, 2], num_inference_steps=1).shape == (2, 3, 32, 32)


def test_a_folder_without_a_pipeline_is_refused(trained: Callable[[str], Card]) -> None:
    with pytest.raises(UserError, match="no diffusers pipeline"):
        load(replace(trained("ldm"), path=trained("gan").path), "cpu")


def test_evaluations_count_steps_and_guidance(pipeline: Pipeline) -> None:
    pipeline.generate(PROMPTS, [1, 2], num_inference_steps=3, guidance_scale=1.0)
    assert pipeline.evaluations == 2 * 3
    pipeline.generate(PROMPTS, [1, 2], num_inference_steps=3, guidance_scale=2.0)
    assert pipeline.evaluations == 3 * 2 * 3


@torch.no_grad()
@pytest.mark.parametrize("guidance_scale", (1.0, 2.5))
def test_images_are_those_of_a_plain_loop(folder: Path, pipeline: Pipeline, guidance_scale: float) -> None:
    """diffusers' parts as they are opened, two passes for guidance, noise from each image's own generator."""
    from diffusers import DiffusionPipeline

    parts: Any = DiffusionPipeline.from_pretrained(folder)  # type: ignore[no-untyped-call]
    texts = [parts.encode_prompt(prompts, "cpu", 1, False)[0] for prompts in (PROMPTS, ["", ""])]
    latents = torch.stack([torch.randn(4, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2)])
    parts.scheduler.set_timesteps(5)
    for timestep in parts.scheduler.timesteps:
        given, empty = (parts.unet(latents, timestep, encoder_hidden_states=text).sample for text in texts)
        latents = parts.scheduler.step(empty + guidance_scale * (given - empty), timestep, latents).prev_sample
    plain = parts.vae.decode(latents / parts.vae.config.scaling_factor).sample.clamp(-1, 1) * 127.5 + 127.5
    images = pipeline.generate(PROMPTS, [1, 2], num_inference_steps=5, guidance_scale=guidance_scale)
    assert (images - plain).abs().max() < 0.6


def test_a_scheduler_is_chosen_by_name(trained: Callable[[str], Card], pipeline: Pipeline) -> None:
    card = replace(trained("ldm"), options={"scheduler": "UniPCMultistepScheduler"})
    other = load(card, "cpu")
    assert type(other.pipeline.scheduler).__name__ == "UniPCMultistepScheduler"
    assert other.pipeline.scheduler.config.prediction_type == pipeline.pipeline.scheduler.config.prediction_type
    few = {"num_inference_steps": 4, "guidance_scale": 2.0}
    assert not torch.equal(other.generate(PROMPTS, [1, 2], **few), pipeline.generate(PROMPTS, [1, 2], **few))
    assert other.evaluations == 2 * 2 * 4


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("UniPCMultistepSchedular", 'no scheduler "UniPCMultistepSchedular".*UniPCMultistepScheduler'),
        ("AutoencoderKL", "no scheduler"),
        ("PNDMScheduler", "cannot sample from this pipeline"),
        ("FlowMatchEulerDiscreteScheduler", "cannot sample from this pipeline"),
    ],
)
def test_an_impossible_scheduler_is_refused(trained: Callable[[str], Card], name: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        load(replace(trained("ldm"), options={"scheduler": name}), "cpu")


class DeviceTimes(list[str]):
    """Times on a device that cannot be read without waiting for it."""

    def cpu(self) -> list[int]:
        return [int(time.removeprefix("on the device: ")) for time in self]


def test_a_scheduler_is_given_its_times_on_the_host_and_networks_get_them_on_the_device() -> None:
    stepped: list[Any] = []

    def set_timesteps(count: int, device: str) -> None:
        scheduler.timesteps = DeviceTimes(f"{device}: {time}" for time in reversed(range(count)))

    def step(output: str, time: Any, sample: str, *, return_dict: bool) -> None:
        stepped.append((output, time, sample, return_dict))

    scheduler = SimpleNamespace(set_timesteps=set_timesteps, step=step, timesteps=DeviceTimes())
    step_by_host_times(scheduler)
    for count in (2, 3):  # a call that was cut off leaves nothing to the next
        scheduler.set_timesteps(count, device="on the device")
        for time in scheduler.timesteps[:2]:
            assert time.startswith("on the device")
            scheduler.step("output", time, "sample", return_dict=False)
    assert stepped == [("output", time, "sample", False) for time in (1, 0, 2, 1)]


def test_a_pipeline_steps_by_times_on_the_host(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of the times, step by step, is never asked of the device: here it would tell a wrong time."""
    images = pipeline.generate(PROMPTS, [1, 2], num_inference_steps=3)
    scheduler = pipeline.pipeline.scheduler
    step = scheduler.step
    wrong = lambda output, time, *a, **k: step(output, torch.full_like(time, -1), *a, **k)  # noqa: E731
    monkeypatch.setattr(scheduler, "step", wrong)
    assert torch.equal(pipeline.generate(PROMPTS, [1, 2], num_inference_steps=3), images)


def test_a_trace_has_one_frame_per_step(pipeline: Pipeline) -> None:
    frames = pipeline.trace(PROMPTS, [1, 2], num_inference_steps=4)
    assert len(frames) == 4
    assert torch.equal(frames[-1], pipeline.generate(PROMPTS, [1, 2], num_inference_steps=4))


def test_noise_begins_near_the_image_and_ends_where_sampling_begins(pipeline: Pipeline) -> None:
    """At the first time of a rectified flow nothing is left of the image; the seed alone decides what is there."""
    images = pipeline.generate(PROMPTS, [1, 2], num_inference_steps=4)
    before = pipeline.evaluations
    noised = pipeline.noise(images, [1, 2], num_inference_steps=50)
    assert (noised.space, len(noised.frames), pipeline.evaluations) == ("latents", 50, before)
    latents = pipeline.latents.encode(images)
    reconstructed = to_pixels(pipeline.latents.decode(latents, 32)).float()
    away = [(frame.float() - reconstructed).abs().mean().item() for frame in noised.frames]
    assert away[0] < 0.2 * away[-1]
    begun = to_pixels(pipeline.latents.decode(SampleStreams([1, 2]).normal(*latents.shape[1:]), 32))
    assert (noised.frames[-1].float() - begun.float()).abs().mean() <= 0.1 * away[-1]
    alone = pipeline.noise(images[1:], [2], num_inference_steps=50).frames[-1]
    assert (alone.int() - noised.frames[-1][1:].int()).abs().max() <= 1


@pytest.mark.parametrize("steps", (1, 4, 20))
def test_the_sampler_ends_where_a_perfect_network_points(pipeline: Pipeline, steps: int) -> None:
    """If all data were one latent c, the flow at x_s would be (x_s - c) / s: any number of steps must end at c."""
    target = torch.linspace(-1, 1, 4).view(1, 4, 1, 1)

    def perfect(sample: Tensor, timestep: Tensor, **_: Any) -> tuple[Tensor]:
        return ((sample - target) / (timestep / recipe.TIMESTEPS),)

    pipeline.pipeline.unet.forward = perfect
    latents = pipeline._run(
        PROMPTS, [1, 2], {"num_inference_steps": steps, "guidance_scale": 1.0}, output_type="latent"
    )
    torch.testing.assert_close(latents, target.expand_as(latents), atol=5e-3, rtol=0)


class Perfect(nn.Module):
    """The network that knows that all latents are ``constant``."""

    def __init__(self, constant: float) -> None:
        super().__init__()
        self.constant, self.factor = constant, nn.Parameter(torch.ones(()))

    def forward(self, sample: Tensor, timestep: Tensor, text: Tensor) -> SimpleNamespace:
        share = (timestep / recipe.TIMESTEPS)[:, None, None, None]
        return SimpleNamespace(sample=self.factor * (sample - self.constant) / share)


@pytest.mark.parametrize(("constant", "perfect"), [(0.3, True), (-0.3, False)])
def test_training_aims_at_noise_minus_data(text_folder: Path, constant: float, perfect: bool) -> None:
    text, data = TextEncoder(text_folder), TrainingSplit(ScenesData())
    latents = torch.full((64, 4, 8, 8), 0.3)
    stage = recipe.FlowStage(Perfect(constant), latents, data, text, torch.device("cpu"), images=64)
    torch.manual_seed(0)
    loss = stage.step(Step(number=0, progress=0.0, indices=torch.arange(64).numpy()))["loss"].item()
    assert (loss < 1e-3) == perfect  # bfloat16 where the processor has it


def test_normalising_the_latents_leaves_the_autoencoder_as_it_was() -> None:
    torch.manual_seed(0)
    autoencoder = recipe.build_autoencoder(NETWORK).eval().requires_grad_(False)
    nn.init.normal_(autoencoder.quant_conv.bias, std=3)
    images = torch.rand(16, 3, 32, 32) * 2 - 1
    latents = autoencoder.encode(images).latent_dist.mean
    before = autoencoder.decode(latents).sample
    returned = recipe.normalise_latents(autoencoder, latents)
    after = autoencoder.encode(images).latent_dist.mean
    torch.testing.assert_close(after, returned, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(after.mean((0, 2, 3)), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(after.std((0, 2, 3)), torch.ones(4), atol=1e-3, rtol=0)
    torch.testing.assert_close(autoencoder.decode(after).sample, before, atol=1e-4, rtol=1e-4)
