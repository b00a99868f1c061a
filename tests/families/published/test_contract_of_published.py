"""The contract of every registered model, for checkpoints in their published layouts: see ``test_contract.py``."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from trilemma import registry
from trilemma.card import Card
from trilemma.errors import UserError
from trilemma.generator import Generator

Published = Callable[[str], Card]
NAMES = ("var", "var-shared", "taming", "taming-unconditional", "biggan")


def load_suite() -> ModuleType:
    path = Path(__file__).parents[2] / "test_contract.py"
    spec = importlib.util.spec_from_file_location("contract_of_published", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    module.IMAGES, module.ALONE = 24, 6  # type: ignore[attr-defined] # networks of two layers: seconds for each
    return module


SUITE = load_suite()
# It is of the registry itself.
LEFT_OUT = ("test_the_registry_has_the_four_families_and_the_controls",)
globals().update(
    {name: test for name, test in vars(SUITE).items() if name.startswith("test_") and name not in LEFT_OUT}
)
_loaded: dict[str, Generator] = {}


@pytest.fixture(params=NAMES)
def card(request: pytest.FixtureRequest, published: Published) -> Card:
    return published(request.param)


@pytest.fixture(autouse=True)
def classes_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = ["" if row % 6 == 5 else f"class {row % 20}" for row in range(len(SUITE.SEEDS))]
    monkeypatch.setattr(SUITE, "prompts_of", lambda data: prompts)


@pytest.fixture
def generator(card: Card) -> Generator:
    if card.name not in _loaded:
        SUITE.CARDS[card.name] = card  # type: ignore[attr-defined]
        _loaded[card.name] = registry.load(card, "cpu")
    return _loaded[card.name]


def test_what_it_is_asked_for_is_declared(card: Card, generator: Generator) -> None:
    declared = {"class-conditional", "unconditional"} & generator.info.capabilities
    assert declared == {"unconditional" if card.name == "taming-unconditional" else "class-conditional"}


def test_classes_are_called_by_name_or_number_and_nothing_else_is_taken(card: Card, generator: Generator) -> None:
    if card.name == "taming-unconditional":
        assert torch.equal(generator.generate(["anything"], [1]), generator.generate([""], [1]))
        return
    named = str(card.options["classes"][4])
    assert torch.equal(generator.generate([named.upper()], [1]), generator.generate(["class 4"], [1]))
    for prompt in ("class 20", "class -1", "a dragon"):
        with pytest.raises(UserError, match=f'"{prompt}" is none of the 20 classes'):
            generator.generate([prompt], [1])
