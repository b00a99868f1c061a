"""The GAN: latent, truncation, and what the empty prompt draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from trilemma.card import Card
from trilemma.families.gan import Discriminator, Gan, GanNetwork, GeneratorNetwork, load

SMALL = GanNetwork(
    widths=(8, 8, 8), blocks=(1, 1, 1), discriminator_widths=(8, 8, 8), discriminator_blocks=(1, 1, 1), latent=4,
    mapping=8, components=4,
)  # fmt: skip


@pytest.fixture
def gan(trained: Callable[[str], Card]) -> Gan:
    return load(trained("gan"), "cpu")


@pytest.mark.parametrize(
    ("widths", "patch", "resolution"), [((8, 8, 8), 2, 32), ((8, 8), 2, 16), ((8, 8, 8, 8), 1, 32)]
)
def test_shapes(widths: tuple[int, ...], patch: int, resolution: int) -> None:
    blocks = (1,) * len(widths)
    network = replace(
        SMALL, widths=widths, blocks=blocks, discriminator_widths=widths, discriminator_blocks=blocks, patch=patch
    )
    image = GeneratorNetwork(network, 6)(torch.randn(2, 4), torch.randn(2, 6))
    assert image.shape == (2, 3, resolution, resolution)
    if resolution == 32:
        assert Discriminator(network, 6)(image, torch.randn(2, 6)).shape == (2,)


def test_a_residual_block_starts_as_the_identity() -> None:
    generator = GeneratorNetwork(SMALL, 6)
    x = torch.randn(1, 8, 4, 4)
    assert torch.equal(generator.stages[0](x), x)


def test_only_the_direction_of_a_text_embedding_counts() -> None:
    generator, text = GeneratorNetwork(SMALL, 6), torch.randn(2, 6)
    z = torch.randn(2, 4)
    torch.testing.assert_close(generator(z, text), generator(z, 7 * text))


def test_the_discriminator_pairs_image_and_text() -> None:
    network = Discriminator(SMALL, 6)
    image, text = torch.randn(2, 3, 32, 32), torch.randn(2, 6)
    whole = network(image, text)
    torch.testing.assert_close(whole, network.judge(network.features(image), text))
    assert not torch.allclose(whole, network(image, text.flip(0)))


def test_no_latent_is_one_image_for_all_seeds(gan: Gan) -> None:
    prompts = ["a red circle on green stripes"] * 4
    images = gan.generate(prompts, [1, 2, 3, 4], truncation=0.0)
    assert all(torch.equal(image, images[0]) for image in images)
    assert not torch.equal(*gan.generate(prompts[:2], [1, 2]))


def test_the_empty_prompt_draws_a_component(gan: Gan) -> None:
    count = len(gan.network.components)
    images = gan.generate([""] * 200, list(range(200)), truncation=0.0)
    different = {image.numpy().tobytes() for image in images}
    assert count / 2 < len(different) <= count
    torch.nn.init.zeros_(gan.network.components)
    assert len({image.numpy().tobytes() for image in gan.generate([""] * 9, list(range(9)), truncation=0.0)}) == 1


def test_one_evaluation_per_image(gan: Gan) -> None:
    gan.generate(["", "a red ring on purple dots", ""], [1, 2, 3])
    assert gan.evaluations == 3
