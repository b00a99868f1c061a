"""What class a prompt asks for: every name that ImageNet's data set gives a class leads to that class."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from trilemma.card import Card
from trilemma.data.imagenet import imagenet_classes
from trilemma.errors import UserError
from trilemma.families.class_labels import Names, labels_of, named_in_texts
from trilemma.families.class_prompts import ClassPrompts
from trilemma.families.diffusers_open import class_names_of_index
from trilemma.protocols import find_protocol
from trilemma.runner.prompts import prompts_of
from trilemma.workspace import find_workspace

CHECKOUT = find_workspace(Path(__file__).resolve().parents[2])
CRANE_BIRD, CRANE, MAILLOT, TANK_SUIT, DOG, GARMENT = 134, 517, 638, 639, 264, 474
# Of ImageNet's synsets, as checkpoints list them, those whose names collide or are not torchvision's.
SYNSETS = {
    CRANE_BIRD: "crane", TANK_SUIT: "maillot, tank suit", DOG: "Cardigan, Cardigan Welsh corgi",
    82: "ruffed grouse, partridge, Bonasa umbellus", 123: "spiny lobster, langouste, rock lobster, crawfish, crayfish",
    124: "crayfish, crawfish, crawdad, crawdaddy", 361: "skunk, polecat, wood pussy", 435: "bathtub, bathing tub, tub",
    358: "polecat, fitch, foulmart, foumart, Mustela putorius", 494: "chime, bell, gong", 577: "gong, tam-tam",
    593: "harmonica, mouth organ, harp, mouth harp", 744: "projectile, missile", 876: "tub, vat",
}  # fmt: skip


def synsets() -> list[str]:
    return [SYNSETS.get(number, name) for number, name in enumerate(imagenet_classes())]


def by_option(path: Path) -> ClassPrompts:
    return ClassPrompts(card(path, classes="imagenet"), 1000)


def by_list(path: Path) -> ClassPrompts:
    return ClassPrompts(card(path, classes=list(imagenet_classes())), 1000)


def by_texts(path: Path) -> ClassPrompts:
    return ClassPrompts(card(path, classes=synsets()), 1000)


def by_index(path: Path) -> ClassPrompts:
    return ClassPrompts(card(path), 1000, indexed(path))


def by_index_and_option(path: Path) -> ClassPrompts:
    return ClassPrompts(card(path, classes="imagenet"), 1000, indexed(path))


def card(path: Path, **options: object) -> Card:
    return Card(name="m", family="diffusers", resolution=256, path=path, options=options)


def indexed(path: Path) -> Names:
    told = {"_class_name": "DiTPipeline", "id2label": {str(n): text for n, text in enumerate(synsets())}}
    (path / "model_index.json").write_text(json.dumps(told))
    return class_names_of_index(card(path), 1000)


def asked() -> list[str]:
    """The prompts of the protocol, one of each class."""
    protocol = find_protocol("imagenet256", CHECKOUT)
    found = prompts_of(protocol, protocol.main_set, protocol.main_set.images)
    assert [prompt.label for prompt in found] == list(range(1000))
    return [prompt.text for prompt in found]


@pytest.mark.parametrize("named", [by_option, by_list, by_texts, by_index, by_index_and_option])
def test_every_prompt_of_imagenet256_leads_to_its_own_class(
    named: Callable[[Path], ClassPrompts], tmp_path: Path
) -> None:
    prompts, known = asked(), named(tmp_path)
    assert len(set(prompts)) == 1000
    assert known.labels_or_null(prompts).tolist() == list(range(1000))
    assert known.labels(prompts, range(1000)).tolist() == list(range(1000))
    few = ["crane bird", "crane", "maillot", "maillot tank suit", "Cardigan", "cardigan", " Golden Retriever ", ""]
    wanted = [CRANE_BIRD, CRANE, MAILLOT, TANK_SUIT, DOG, GARMENT, 207, 1000]
    assert known.labels_or_null(few).tolist() == wanted


def test_a_spelling_that_is_neither_of_two_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match='"CARDIGAN" is none of the 1000 classes'):
        by_option(tmp_path).labels_or_null(["CARDIGAN"])


def test_what_two_classes_are_called_names_neither_and_other_data_are_not_taken_for_imagenet() -> None:
    names = named_in_texts(["crane, bird", "crane, machine", *(f"number {n}" for n in range(998))])
    assert labels_of(["bird", "Machine", "class 1", ""], 1000, names) == [0, 1, 1, None]
    assert names.find("crane") is None and names.find("tench") is None
