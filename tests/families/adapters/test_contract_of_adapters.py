"""The contract of every registered model, for adapters whose checkpoints this test writes: see ``test_contract.py``."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from trilemma import registry
from trilemma.card import Card, load_card
from trilemma.generator import Generator

PIPELINES = ("sd", "lcm", "sdxl", "sd3", "flux", "pixart", "dit", "ddpm", "consistency", "ldm-uncond")
OTHERS = ("torchscript", "own-interpreter")
FACTORY = """
import numpy as np

class Model:
    info = {"parameters": 7, "knobs": [dict(name="gain", kind="float", default=1.0, minimum=0.0, maximum=2.0,
                                            description="of the noise")]}
    evaluations = 0

    def generate(self, prompts, seeds, gain):
        self.evaluations += len(prompts)
        images = []
        for prompt, seed in zip(prompts, seeds):
            noise = np.random.Generator(np.random.PCG64(seed)).normal(size=(3, 16, 16))
            images.append(128 + 30 * gain * noise + sum(map(ord, prompt)) % 50)
        return np.clip(np.stack(images), 0, 255).astype(np.uint8)

def build(card, device):
    return Model()
"""


class Scripted(nn.Module):
    """A latent and a class to an image in [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(1000, 8)
        self.layer = nn.Linear(16, 3 * 16 * 16)

    def forward(self, z: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        joined = torch.cat([z, self.embedding(labels)], 1)
        return torch.tanh(self.layer(joined)).view(-1, 3, 16, 16)


def load_suite() -> ModuleType:
    path = Path(__file__).parents[2] / "test_contract.py"
    spec = importlib.util.spec_from_file_location("contract_of_adapters", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    module.IMAGES, module.ALONE = 24, 6  # type: ignore[attr-defined] # networks of one layer: seconds for each
    return module


SUITE = load_suite()
# One test is of the registry itself, and one needs an autoencoder that gives back what it is given.
LEFT_OUT = ("test_the_registry_has_the_four_families_and_the_controls", "test_noise_leads_away_from_the_image")
globals().update(
    {name: test for name, test in vars(SUITE).items() if name.startswith("test_") and name not in LEFT_OUT}
)
_loaded: dict[str, Generator] = {}


@pytest.fixture(scope="module")
def cards(
    pipelines: Callable[[str], Card], named_classes: str, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Card]:
    made: dict[str, Card] = {}

    def card(name: str) -> Card:
        if name in PIPELINES:
            return pipelines(name)
        if name not in made:
            folder = tmp_path_factory.mktemp("other")
            made[name] = torchscript(folder, named_classes) if name == "torchscript" else own_interpreter(folder)
        return made[name]

    return card


def torchscript(folder: Path, named_classes: str) -> Card:
    torch.manual_seed(3)
    path = folder / "generator.pt"
    torch.jit.script(Scripted().eval()).save(path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    text = f'name = "scripted"\nfamily = "torchscript"\nresolution = 16\n[weights]\n"generator.pt" = "{sha256}"\n'
    (folder / "card.toml").write_text(f"{text}[options]\nlatent = 8\nrange = [-1, 1]\n{named_classes}\n")
    return load_card(folder)


def own_interpreter(folder: Path) -> Card:
    (folder / "adapter.py").write_text(FACTORY)
    python = f'python = "{sys.executable}"'
    (folder / "card.toml").write_text(f'name = "elsewhere"\nfactory = "adapter:build"\n{python}\nresolution = 16\n')
    return load_card(folder)


@pytest.fixture(params=[*PIPELINES, *OTHERS])
def card(request: pytest.FixtureRequest, cards: Callable[[str], Card]) -> Card:
    return cards(request.param)


@pytest.fixture
def generator(card: Card) -> Generator:
    if card.name not in _loaded:
        SUITE.CARDS[card.name] = card  # type: ignore[attr-defined]
        _loaded[card.name] = registry.load(card, "cpu")
    return _loaded[card.name]


def test_what_is_not_declared_is_not_there(generator: Generator) -> None:
    capabilities = generator.info.capabilities
    assert hasattr(generator, "trace") == ("trace" in capabilities)
    assert hasattr(generator, "noise") == ("noising" in capabilities)
