"""What every registered model promises (see ``trilemma.generator``), over the whole registry of the checkout."""

from __future__ import annotations

import functools
import inspect
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from trilemma import at_hand, protocols, registry
from trilemma.card import Card
from trilemma.data import scenes
from trilemma.data.datasets import open_data_set
from trilemma.data.mnist import MnistData
from trilemma.errors import UserError
from trilemma.generator import Generator
from trilemma.workspace import find_workspace

WORKSPACE = find_workspace(start=Path(__file__).parent)
# Published checkpoints that happen to lie here are not among them.
EMBEDDED = [protocols.find_protocol(name, WORKSPACE) for name in ("scenes", "fashion-mnist")]
CARDS = {
    name: registry.find_card(name, WORKSPACE)
    for protocol in EMBEDDED
    for name in at_hand.competing(WORKSPACE, protocol)
}
IMAGES = 400  # enough that one flipped token does not decide about a share of 99 %
ALONE = 32
AGREEING = 0.99
SEEDS = [2**63 - 1, *range(1, IMAGES)]


@functools.cache
def prompts_of(data: str) -> list[str]:
    """Captions of Scenes, or the names of classes, one for each seed; every sixth is empty."""
    if data == "scenes":
        texts = scenes.captions("contract", range(len(SEEDS)))
    else:
        source = open_data_set(data)
        assert isinstance(source, MnistData)
        texts = [source.classes[row % len(source.classes)] for row in range(len(SEEDS))]
    return ["" if row % 6 == 5 else text for row, text in enumerate(texts)]


@functools.cache
def load(name: str) -> Generator:
    return registry.load(CARDS[name], "cpu")


@pytest.fixture(params=sorted(CARDS))
def card(request: pytest.FixtureRequest) -> Card:
    """A card whose weights must be there: ``load`` fails otherwise."""
    return CARDS[request.param]


@pytest.fixture
def generator(card: Card) -> Generator:
    return load(card.name)


def asked(generator: Generator) -> list[str]:
    """Prompts that a model understands, one for each seed."""
    return prompts_of(CARDS[generator.info.name].data)


def generate(generator: Generator, rows: Sequence[int], batch_size: int, **knobs: float) -> Tensor:
    """The images of the chosen rows of what is asked and of SEEDS, made in batches."""
    parts = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    prompts = asked(generator)
    return torch.cat([generator.generate([prompts[r] for r in p], [SEEDS[r] for r in p], **knobs) for p in parts])


def agreement(one: Tensor, other: Tensor) -> float:
    """The share of images that are the same to within one grey level."""
    return float(((one.int() - other.int()).abs().flatten(1).amax(1) <= 1).float().mean())


def few_steps(generator: Generator) -> dict[str, float]:
    """Where denoising takes steps, few are enough to see whether samples are kept apart."""
    return {"num_inference_steps": 6} if has_knob(generator, "num_inference_steps") else {}


def has_knob(generator: Generator, name: str) -> bool:
    return any(knob.name == name for knob in generator.info.knobs)


def test_the_registry_has_the_four_families_and_the_controls() -> None:
    assert {"gan", "vqar", "var", "ldm", "real", "reduced", "noisy", "mode-drop", "memorizer"} <= CARDS.keys()


def test_it_is_a_generator_that_says_what_it_is(card: Card, generator: Generator) -> None:
    assert isinstance(generator, Generator)
    assert generator.info.name == card.name
    assert generator.info.resolution == card.resolution
    assert (generator.info.parameters == 0) == card.control
    names = [knob.name for knob in generator.info.knobs]
    assert len(set(names)) == len(names)
    for knob in generator.info.knobs:
        assert knob.check(knob.default) == knob.default
        assert knob.description
    assert {name: value for name, value in card.knobs.items()}.items() <= {
        knob.name: knob.default for knob in generator.info.knobs
    }.items()


def test_images_are_uint8_on_the_models_device(generator: Generator) -> None:
    for count in (1, 3):
        images = generate(generator, range(count), count)
        side = generator.info.resolution
        assert images.shape == (count, 3, side, side)
        assert images.dtype == torch.uint8
        assert images.device.type == "cpu"
        assert not images.requires_grad
        assert images.amax() - images.amin() > 0


def test_the_empty_prompt_works(generator: Generator) -> None:
    assert generator.generate(["", ""], [1, 2]).shape[0] == 2


def test_an_image_does_not_depend_on_its_batch(generator: Generator) -> None:
    knobs = few_steps(generator)
    large = generate(generator, range(IMAGES), 16, **knobs)
    assert agreement(generate(generator, range(IMAGES), 3, **knobs), large) >= AGREEING
    assert agreement(generate(generator, range(ALONE), 1, **knobs), large[:ALONE]) >= 1 - 1 / ALONE


def test_an_image_does_not_depend_on_its_mates_or_their_order(generator: Generator) -> None:
    knobs, rows = few_steps(generator), list(range(32))
    forward = generate(generator, rows, 16, **knobs)
    for order in (rows[::-1], [*rows[::2], *rows[1::2]]):
        shuffled = generate(generator, order, 16, **knobs)
        assert agreement(shuffled, forward[order]) >= 1 - 1 / len(rows)


def test_the_same_call_gives_the_same_bytes(generator: Generator) -> None:
    first = generate(generator, range(8), 8)
    generate(generator, range(20, 25), 5)
    torch.manual_seed(4)
    assert torch.equal(generate(generator, range(8), 8), first)


def test_another_seed_gives_another_image(card: Card, generator: Generator) -> None:
    if card.options.get("kind") == "memorizer":
        pytest.skip("the memorizer has a few hundred pictures of a mode and repeats them")
    for prompt in ("", asked(generator)[0]):
        images = generator.generate([prompt] * 8, range(8))
        assert len({image.numpy().tobytes() for image in images}) == 8


def test_another_prompt_gives_another_image(card: Card, generator: Generator) -> None:
    if "unconditional" in generator.info.capabilities:
        pytest.skip("it makes images from noise alone")
    images = generator.generate(asked(generator)[:2], [3, 3])
    assert not torch.equal(images[0], images[1])


def global_state() -> dict[str, Any]:
    """What a model could change behind everybody's back, in comparable form."""
    name, keys, *rest = np.random.get_state()
    backends = torch.backends
    return {
        "torch random": torch.get_rng_state().numpy().tobytes(),
        "numpy random": (name, np.asarray(keys).tobytes(), *rest),
        "python random": random.getstate(),
        "default dtype": torch.get_default_dtype(),
        "grad mode": (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_anomaly_enabled()),
        "autocast": (torch.is_autocast_enabled("cpu"), torch.is_autocast_enabled("cuda")),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "deterministic": (torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision()),
        "cudnn": tuple(getattr(backends.cudnn, flag) for flag in ("enabled", "benchmark", "deterministic")),
        "tf32": (backends.cudnn.allow_tf32, backends.cuda.matmul.allow_tf32),
        "attention": (
            backends.cuda.flash_sdp_enabled(), backends.cuda.mem_efficient_sdp_enabled(),
            backends.cuda.math_sdp_enabled(), backends.cuda.cudnn_sdp_enabled(),
        ),
        "mkldnn": backends.mkldnn.enabled,
        "float errors": np.geterr(),
        **patched_state(),
    }  # fmt: skip


def patched_state() -> dict[str, Any]:
    """Hooks on all modules, and initialisers that some research code replaces."""
    layers = (nn.Linear, nn.Conv2d, nn.LayerNorm, nn.Embedding, nn.GroupNorm)
    module = nn.modules.module
    return {
        "hooks": (len(module._global_forward_hooks), len(module._global_forward_pre_hooks)),
        "initialisers": {layer.__name__: layer.reset_parameters for layer in layers},
    }


def test_global_state_is_untouched(generator: Generator) -> None:
    generate(generator, range(2), 2)  # what is imported on first use may look at the clock
    before = global_state()
    generate(generator, range(4), 4)
    if "trace" in generator.info.capabilities:
        generator.trace(asked(generator)[:2], SEEDS[:2])  # type: ignore[attr-defined]
    after = global_state()
    assert {name for name in before if before[name] != after[name]} == set()


def test_loading_patches_nothing(card: Card) -> None:
    before = (patched_state(), torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads())
    registry.load(card, "cpu")
    assert (patched_state(), torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()) == before


def test_generation_works_under_any_grad_mode(generator: Generator) -> None:
    plain = generate(generator, range(2), 2)
    with torch.inference_mode():
        inferred = generate(generator, range(2), 2)
    assert torch.equal(plain, inferred)


def test_unknown_knobs_name_those_that_exist(generator: Generator) -> None:
    with pytest.raises(UserError, match='unknown knob "nosuch"') as caught:
        generator.generate(asked(generator)[:1], SEEDS[:1], nosuch=1.0)
    assert all(knob.name in str(caught.value) for knob in generator.info.knobs)


def test_knobs_out_of_range_are_refused(generator: Generator) -> None:
    before = generator.evaluations
    for knob in generator.info.knobs:
        for value in (knob.minimum - 1, 2 * knob.maximum + 1, float("nan"), "1", True):
            with pytest.raises(UserError, match=f'"{knob.name}"'):
                generator.generate(asked(generator)[:1], SEEDS[:1], **{knob.name: value})  # type: ignore[arg-type]
        if knob.kind == "int":
            with pytest.raises(UserError, match="integer"):
                generator.generate(asked(generator)[:1], SEEDS[:1], **{knob.name: knob.minimum + 0.5})
    assert generator.evaluations == before


@pytest.mark.parametrize(
    ("prompts", "seeds"), [(["a"], [1, 2]), (["a", "b"], [1]), ([], []), ("a red star", list(range(10)))]
)
def test_prompts_and_seeds_must_match(generator: Generator, prompts: Sequence[str], seeds: Sequence[int]) -> None:
    with pytest.raises(UserError, match="prompts"):
        generator.generate(prompts, seeds)


def evaluations(generator: Generator, count: int, **knobs: float) -> int:
    before = generator.evaluations
    generator.generate([asked(generator)[0]] * count, range(count), **knobs)
    return generator.evaluations - before


def test_evaluations_are_counted(card: Card, generator: Generator) -> None:
    one, five = evaluations(generator, 1), evaluations(generator, 5)
    assert isinstance(generator.evaluations, int)
    assert five == 5 * one
    assert (one == 0) == card.control
    if has_knob(generator, "guidance_scale"):
        alone = evaluations(generator, 2, guidance_scale=1.0)
        assert alone > 0
        passes = 1 if "guided-by-input" in generator.info.capabilities else 2
        assert evaluations(generator, 2, guidance_scale=3.0) == passes * alone
    if has_knob(generator, "num_inference_steps"):
        unguided = {"guidance_scale": 1.0} if has_knob(generator, "guidance_scale") else {}
        assert evaluations(generator, 1, num_inference_steps=3, **unguided) == 3


def test_a_trace_ends_in_the_image(generator: Generator) -> None:
    if "trace" not in generator.info.capabilities:
        assert not inspect.ismethod(getattr(generator, "trace", None)), "capabilities are declared, never probed"
        return
    images, before = generate(generator, range(3), 3), generator.evaluations
    frames = generator.trace(asked(generator)[:3], SEEDS[:3])  # type: ignore[attr-defined]
    each, left = divmod(generator.evaluations - before, 3 * len(frames))
    assert each > 0 and left == 0, "frames are evenly spaced in network evaluations"
    assert all(frame.shape == images.shape and frame.dtype == torch.uint8 for frame in frames)
    assert torch.equal(frames[-1], images)
    assert len(frames) == 1 or not torch.equal(frames[0], images)


def test_noise_leads_away_from_the_image(generator: Generator) -> None:
    if "noising" not in generator.info.capabilities:
        assert not inspect.ismethod(getattr(generator, "noise", None)), "capabilities are declared, never probed"
        return
    images, before = generate(generator, range(2), 2), generator.evaluations
    noised = generator.noise(images, SEEDS[:2])  # type: ignore[attr-defined]
    assert generator.evaluations == before
    assert all(frame.shape == images.shape and frame.dtype == torch.uint8 for frame in noised.frames)
    away = [(frame.float() - images.float()).abs().mean().item() for frame in noised.frames]
    assert away == sorted(away) and away[-1] > 2 * away[0]
