"""The controls over a data set whose truth is not known: which pictures they show, and what they do to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from trilemma import at_hand, protocols, registry
from trilemma.data.classes import rows_of_class
from trilemma.data.mnist import FASHION_MNIST, MnistData
from trilemma.errors import UserError
from trilemma.families.control_cards import DESCRIPTIONS, over
from trilemma.families.controls import shrunk
from trilemma.families.data_controls import DataControl
from trilemma.generator import GeneratorInfo
from trilemma.protocol import Protocol
from trilemma.runner.plan import Planned, plan
from trilemma.workspace import find_workspace

WORKSPACE = find_workspace(start=Path(__file__).parent)
CLASSES = FASHION_MNIST.classes
KINDS = ("real", "reduced", "noisy", "mode-drop", "memorizer")
Built = Callable[[str], DataControl]


def small() -> Protocol:
    """Fashion-MNIST's protocol over the 40 held-out pictures of a small data set, two of each class set aside."""
    protocol = protocols.find_protocol("fashion-mnist", WORKSPACE)
    assert protocol.reference is not None
    reference = replace(protocol.reference, images=60, floor_images=40, heldout_images=40, training_images=200)
    prompted, unconditional, within = protocol.sets
    sets = (
        replace(prompted, images=20),
        replace(unconditional, images=20),
        replace(within, images=20, images_per_prompt=2),
    )
    return replace(protocol, reference=reference, sets=sets)


@pytest.fixture
def built(small_fashion_mnist: Path) -> Built:
    def build(kind: str) -> DataControl:
        [card] = registry.select([kind], WORKSPACE, small())
        control = registry.load(card, "cpu")
        assert isinstance(control, DataControl)
        return control

    return build


def pixels(control: DataControl, prompts: Sequence[str], seeds: Sequence[int]) -> NDArray[np.uint8]:
    images: NDArray[np.uint8] = control.generate(prompts, seeds).permute(0, 2, 3, 1).numpy()
    return images


def places(images: NDArray[np.uint8], split: str) -> list[int]:
    """Returns where the pictures stand in a split; -1 for what is none of them."""
    data = MnistData(replace(FASHION_MNIST, sha256={}))
    known = {image.tobytes(): row for row, image in enumerate(data.images(split, range(data.count(split))))}
    return [known.get(image.tobytes(), -1) for image in images]


def planned_of(name: str) -> list[Planned]:
    return plan(small(), 0)[name]


def drawn(control: DataControl, planned: Sequence[Planned]) -> NDArray[np.uint8]:
    return pixels(control, [one.prompt for one in planned], [one.seed for one in planned])


def test_real_shows_held_out_pictures_of_the_class(built: Built) -> None:
    rows = places(pixels(built("real"), CLASSES, range(10)), "validation")
    data = MnistData(replace(FASHION_MNIST, sha256={}))
    assert data.labels("validation", rows).tolist() == list(range(10))
    assert built("real").info == GeneratorInfo(
        name="real", family="controls", resolution=32, parameters=0, capabilities=frozenset({"assigned"})
    )


def test_what_models_are_compared_with_within_a_class_is_not_shown(built: Built) -> None:
    control, data = built("real"), MnistData(replace(FASHION_MNIST, sha256={}))
    shown = set(places(pixels(control, [CLASSES[3]] * 50, range(50)), "validation"))
    aside = set(rows_of_class(data, "validation", 3, 2).tolist())
    everything = set(rows_of_class(data, "validation", 3, 4).tolist())
    assert shown == everything - aside


def test_told_a_plan_it_shows_no_picture_twice_in_a_set(built: Built) -> None:
    control = built("real")
    control.assign([one for name in ("prompted", "unconditional") for one in planned_of(name)])
    for name in ("prompted", "unconditional"):
        rows = places(drawn(control, planned_of(name)), "validation")
        assert len(set(rows)) == len(planned_of(name)) and -1 not in rows


def test_a_part_of_a_plan_shows_the_same(built: Built) -> None:
    whole, part = built("real"), built("real")
    planned = planned_of("unconditional")
    whole.assign(planned)
    part.assign(planned[:7])
    assert (drawn(whole, planned[:7]) == drawn(part, planned[:7])).all()
    assert not (drawn(whole, planned[:7]) == drawn(built("real"), planned[:7])).all()


def test_a_plan_that_asks_for_more_pictures_than_there_are_shows_them_again(built: Built) -> None:
    control = built("real")
    planned = [replace(one, prompt=CLASSES[0]) for one in planned_of("unconditional")]
    control.assign(planned)
    rows = places(drawn(control, planned), "validation")
    assert sorted(rows.count(row) for row in set(rows)) == [10, 10]


def test_damaged_ones_are_the_same_pictures_damaged(built: Built) -> None:
    real, reduced, noisy = (pixels(built(kind), CLASSES, range(10)) for kind in KINDS[:3])
    assert (reduced == shrunk(real, 4)).all()
    assert 10 < np.abs(noisy.astype(float) - real).mean() < 24  # what leaves the grey levels is cut off


def test_mode_drop_loses_classes_and_the_brighter_half(built: Built) -> None:
    data = MnistData(replace(FASHION_MNIST, sha256={}))
    images = pixels(built("mode-drop"), [""] * 60, range(60))
    assert set(data.labels("validation", places(images, "validation")).tolist()) == {0, 1}
    within = pixels(built("mode-drop"), [CLASSES[5]] * 20, range(20))
    left = data.images("validation", rows_of_class(data, "validation", 5, 2, 2)).mean(axis=(1, 2, 3))
    assert set(within.mean(axis=(1, 2, 3)).tolist()) == {left.min()}


def test_memorizer_shows_what_was_trained_on(built: Built) -> None:
    assert -1 not in places(pixels(built("memorizer"), [*CLASSES, ""], range(11)), "fit")


def test_a_prompt_of_no_class_is_refused(built: Built) -> None:
    with pytest.raises(UserError, match='"a red cube" is no class of "fashion-mnist"'):
        pixels(built("real"), ["a red cube"], [0])


def test_over_scenes_and_of_other_families_a_card_stays_as_it_is() -> None:
    scenes = protocols.find_protocol("scenes", WORKSPACE)
    real, gan = (registry.find_card(name, WORKSPACE) for name in ("real", "gan"))
    assert over(real, scenes) is real and over(gan, small()) is gan
    assert over(real, small()).revision != real.revision
    assert over(real, small()).description == DESCRIPTIONS["real"] and over(real, small()).control


def test_a_protocol_without_such_pictures_is_told_of(small_fashion_mnist: Path) -> None:
    protocol = small()
    assert protocol.reference is not None
    bare = replace(protocol, reference=replace(protocol.reference, floor_images=0, training_images=0))
    for kind in KINDS:
        with pytest.raises(UserError, match="sets no real images aside that this control could show"):
            registry.select([kind], WORKSPACE, bare)


def test_pictures_that_are_not_at_hand_are_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRILEMMA_DATA", str(tmp_path))
    monkeypatch.setenv("TRILEMMA_CACHE", str(tmp_path))
    cards = registry.select(KINDS, WORKSPACE, small())
    with pytest.raises(UserError, match="the files of fashion-mnist are missing"):
        at_hand.refuse_missing(cards)
    assert at_hand.missing(registry.find_card("real", WORKSPACE)) is None
