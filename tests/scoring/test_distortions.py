"""Distortions: what they do to images, and what they leave alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from trilemma.errors import UserError
from trilemma.scoring.calibration_material import material as named_material
from trilemma.scoring.distortions import DISTORTIONS, Images, Material, named_distortions
from trilemma.scoring.distortions_pixels import blur, grain, jpeg, negative, warm

SAMPLES = 40
PIXELS = ("blur", "grain", "colour-shift", "jpeg")


@pytest.fixture(scope="module")
def scenes() -> Material:
    return named_material("scenes", SAMPLES)


def pictures(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 12, 10, 3), dtype=np.uint8)


def stack(images: Images) -> NDArray[np.uint8]:
    return np.stack(list(images.images()))


@pytest.fixture
def array(tmp_path: Path) -> Path:
    np.save(tmp_path / "images.npy", pictures(300))
    return tmp_path / "images.npy"


@pytest.mark.parametrize("name", DISTORTIONS)
def test_levels_grow_and_end_at_the_strongest(name: str) -> None:
    distortion = DISTORTIONS[name]
    strengths = distortion.strengths(4)
    steps = np.sign(np.diff(strengths))
    assert len(set(strengths)) == 4 and len(set(steps)) == 1
    assert strengths[-1] == pytest.approx(distortion.strongest, rel=0.01)
    assert distortion.strengths(1) == [strengths[-1]]


def test_no_level_is_a_users_error() -> None:
    with pytest.raises(UserError, match="at least one level"):
        DISTORTIONS["blur"].strengths(0)


@pytest.mark.parametrize("name", [name for name in DISTORTIONS if name != "fewer-samples"])
@pytest.mark.parametrize("level", [0, 3])
def test_a_distortion_keeps_number_and_size_and_is_the_same_twice(name: str, level: int, scenes: Material) -> None:
    distortion = DISTORTIONS[name]
    strength = distortion.strengths(4)[level]
    images = distortion.apply(scenes, strength, 1)
    drawn = stack(images)
    assert drawn.shape == (SAMPLES, 32, 32, 3) and drawn.dtype == np.uint8
    assert (drawn == stack(distortion.apply(scenes, strength, 1))).all()
    assert images.digest() == distortion.apply(scenes, strength, 1).digest()


@pytest.mark.parametrize("name", PIXELS)
def test_damage_to_pixels_grows_from_level_to_level(name: str, scenes: Material) -> None:
    clean = stack(scenes.clean).astype(float)
    distortion = DISTORTIONS[name]
    errors = [np.abs(stack(distortion.apply(scenes, one, 0)) - clean).mean() for one in distortion.strengths(4)]
    assert errors[0] > 0 and (np.diff(errors) > 0).all()


def test_grain_has_the_deviation_that_is_asked_for_and_differs_between_images() -> None:
    grey = np.full((64, 64, 3), 128, np.uint8)
    noise = [grain(grey, 10, np.random.default_rng([0, i])).astype(float) - 128 for i in range(2)]
    assert noise[0].std() == pytest.approx(10, rel=0.03) and abs(noise[0].mean()) < 0.5
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.05


def test_blur_is_relative_to_the_image_and_keeps_channels_apart() -> None:
    dot = np.zeros((64, 64, 3), np.uint8)
    dot[32, 32, 0] = 255
    soft = blur(dot, 1 / 64, np.random.default_rng(0))
    assert soft[32, 32, 0] == pytest.approx(255 / (2 * np.pi), abs=2)  # a Gaussian of one pixel at its centre
    assert not soft[..., 1:].any()


def test_warm_moves_red_up_and_blue_down_and_saturates() -> None:
    grey = np.array([[[250, 100, 3]]], np.uint8)
    assert warm(grey, 8, np.random.default_rng(0)).tolist() == [[[255, 100, 0]]]


def test_jpeg_and_negative() -> None:
    image = pictures(1)[0]
    assert jpeg(image, 5, np.random.default_rng(0)).shape == image.shape
    assert (negative(negative(image)) == image).all() and not (negative(image) == image).any()


def test_dropped_modes_are_gone_and_stay_gone(scenes: Material) -> None:
    assert scenes.modes is not None
    drop = DISTORTIONS["mode-drop"]
    weak, strong = (set(scenes.modes[drop.apply(scenes, share, 3).rows].tolist()) for share in (0.2, 0.8))
    permitted = 512 - round(0.8 * 512)
    assert len(strong) <= permitted
    dropped_by_both = set(range(512)) - weak
    assert not strong & dropped_by_both & set(scenes.modes[scenes.clean.rows].tolist())


def test_a_folder_has_its_classes_for_modes(tmp_path: Path) -> None:
    for i, picture in enumerate(pictures(60)):
        path = tmp_path / f"class{i % 4}" / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(picture).save(path)
    material = named_material(str(tmp_path), 10)
    assert material.modes is not None and set(material.modes) == {f"class{i}" for i in range(4)}
    assert len(set(material.modes[material.reference.rows])) > 1  # not the first class alone: it is shuffled
    left = DISTORTIONS["mode-drop"].apply(material, 0.5, 0)
    assert len(set(material.modes[left.rows])) == 2


def test_modes_that_nobody_knows_cannot_be_dropped(array: Path) -> None:
    with pytest.raises(UserError, match="modes are known of Scenes"):
        DISTORTIONS["mode-drop"].apply(named_material(str(array), 100), 0.5, 0)


def test_too_few_images_of_the_other_modes_are_named(array: Path) -> None:
    whole = named_material(str(array), 100)
    material = Material(source=whole.source, order=whole.order, samples=100, modes=np.arange(300) % 10)
    with pytest.raises(UserError, match="100 images of the modes that are left are needed; there are"):
        DISTORTIONS["mode-drop"].apply(material, 0.8, 0)


def test_invented_modes_are_negatives_of_a_share(scenes: Material) -> None:
    clean = stack(scenes.clean)
    invented = [stack(DISTORTIONS["mode-invention"].apply(scenes, share, 0)) for share in (0.1, 0.4)]
    changed = [(one == 255 - clean).all(axis=(1, 2, 3)) for one in invented]
    assert [int(one.sum()) for one in changed] == [4, 16]
    assert (changed[1] | ~changed[0]).all()  # nested
    assert (invented[1][~changed[1]] == clean[~changed[1]]).all()


@pytest.mark.parametrize(("copies", "distinct"), [(2, 20), (16, 3)])
def test_duplicates_show_few_images_often(copies: int, distinct: int, scenes: Material) -> None:
    rows, counts = np.unique(DISTORTIONS["duplicates"].apply(scenes, copies, 0).rows, return_counts=True)
    assert len(rows) == distinct and counts.max() <= copies and counts.sum() == SAMPLES


def test_memorised_images_are_of_the_reference_each_once(scenes: Material) -> None:
    rows = DISTORTIONS["memorised"].apply(scenes, 0.4, 0).rows
    assert np.isin(rows, scenes.reference.rows).sum() == 16 and len(np.unique(rows)) == SAMPLES
    assert np.isin(rows, scenes.clean.rows).sum() == SAMPLES - 16


def test_fewer_samples_are_the_first(scenes: Material) -> None:
    assert DISTORTIONS["fewer-samples"].apply(scenes, 4, 0).rows.tolist() == scenes.clean.rows[:10].tolist()


def test_few_samples_of_a_folder_are_not_those_with_the_first_names(array: Path) -> None:
    material = named_material(str(array), 100)
    few = DISTORTIONS["fewer-samples"].apply(material, 4, 0).rows
    assert len(few) == 25 and np.isin(few, material.clean.rows).all() and few.max() > material.clean.rows[50]


def test_no_two_sets_have_one_digest(scenes: Material) -> None:
    sets = [one.apply(scenes, level, 0) for one in DISTORTIONS.values() for level in one.strengths(3)]
    sets += [DISTORTIONS["grain"].apply(scenes, 2, 1), scenes.clean, scenes.reference]
    assert len({images.digest() for images in sets}) == len(sets)


def test_the_roles_share_no_image(array: Path) -> None:
    material = named_material(str(array), 100, seed=5)
    roles = np.concatenate([one.rows for one in (material.reference, material.clean, material.heldout)])
    assert sorted(roles.tolist()) == list(range(300))
    assert material.reference.rows.tolist() != named_material(str(array), 100, seed=6).reference.rows.tolist()


def test_too_few_images_are_a_users_error_that_says_how_many_will_do(array: Path) -> None:
    with pytest.raises(UserError, match="needs 303 images") as raised:
        named_material(str(array), 101)
    assert "--samples 100" in str(raised.value)
    with pytest.raises(UserError, match="at least 1"):
        named_material("scenes", 0)


def test_distortions_by_name() -> None:
    assert [one.name for one in named_distortions("grain, blur,grain")] == ["blur", "grain"]
    assert len(named_distortions(None)) == len(DISTORTIONS)
    with pytest.raises(UserError, match='no distortion "blurr"') as raised:
        named_distortions("blurr")
    assert 'Did you mean "blur"?' in str(raised.value)
    with pytest.raises(UserError, match="no distortion is named"):
        named_distortions(",")
