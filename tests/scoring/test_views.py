"""Sources made of another: chosen rows and resized images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from trilemma.data.sources import ImageSource, open_source
from trilemma.data.squares import square
from trilemma.errors import UserError
from trilemma.scoring.views import Change, Changed, Chosen, Resized


def pictures(count: int, height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


@pytest.fixture(params=["folder", "npz"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> ImageSource:
    images = pictures(12, 9, 10)
    if request.param == "npz":
        np.savez_compressed(tmp_path / "a.npz", arr_0=images)
        return open_source(tmp_path / "a.npz")
    (tmp_path / "a").mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / "a" / f"{number:02d}.png")
    return open_source(tmp_path / "a")


ROWS = np.array([0, 1, 4, 9, 10, 11])


def test_chosen_images_are_those_of_the_rows(source: ImageSource) -> None:
    chosen = Chosen(source, ROWS)
    assert len(chosen) == 6 and chosen.keys() == [source.keys()[row] for row in ROWS]
    assert np.array_equal(np.stack(list(chosen.images())), pictures(12, 9, 10)[ROWS])
    assert np.array_equal(np.stack(list(chosen.images(2, 5))), pictures(12, 9, 10)[ROWS[2:5]])
    assert list(chosen.images(6)) == []


def test_an_image_may_be_chosen_several_times(source: ImageSource) -> None:
    rows = np.array([0, 0, 1, 3, 3, 3, 11])
    chosen = Chosen(source, rows)
    assert len(chosen) == 7 and chosen.keys()[:3] == [source.keys()[0], source.keys()[0], source.keys()[1]]
    assert np.array_equal(np.stack(list(chosen.images())), pictures(12, 9, 10)[rows])
    assert np.array_equal(np.stack(list(chosen.images(1, 5))), pictures(12, 9, 10)[rows[1:5]])
    assert len({Chosen(source, rows).digest(), Chosen(source, np.unique(rows)).digest()}) == 2


def test_the_digest_of_chosen_images_is_of_their_pixels_alone(source: ImageSource, tmp_path: Path) -> None:
    np.save(tmp_path / "b.npy", pictures(12, 9, 10)[ROWS])
    assert Chosen(source, ROWS).digest() == open_source(tmp_path / "b.npy").digest()
    assert Chosen(source, ROWS[1:]).digest() != Chosen(source, ROWS).digest()
    assert Chosen(source, ROWS).size() == (9, 10)


def test_chosen_images_of_several_sizes_have_no_size(tmp_path: Path) -> None:
    for number, side in enumerate((8, 8, 9)):
        Image.new("RGB", (side, side)).save(tmp_path / f"{number}.png")
    source = open_source(tmp_path)
    assert Chosen(source, np.array([0, 2])).size() is None
    assert Chosen(source, np.array([0, 1])).size() == (8, 8)


def brighter(by: int) -> Change:
    return Change(apply=lambda position, image: image + np.uint8(by * position), identity=("brighter", by))


def test_a_change_is_told_each_images_position_wherever_reading_starts(source: ImageSource) -> None:
    changed = Changed(Chosen(source, ROWS), brighter(3))
    expected = pictures(12, 9, 10)[ROWS] + 3 * np.arange(6, dtype=np.uint8)[:, None, None, None]
    assert np.array_equal(np.stack(list(changed.images())), expected)
    assert np.array_equal(np.stack(list(changed.images(2, 4))), expected[2:4])
    assert len(changed) == 6 and changed.size() == (9, 10) and changed.keys() == Chosen(source, ROWS).keys()


def test_the_digest_of_changed_images_is_of_content_and_change_and_makes_none(source: ImageSource) -> None:
    def fail(position: int, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        raise AssertionError("an image was changed")

    base = Chosen(source, ROWS)
    digests = {Changed(base, Change(apply=fail, identity=("brighter", by))).digest() for by in (1, 2)}
    assert Changed(Chosen(source, ROWS), brighter(2)).digest() in digests
    assert len(digests | {base.digest(), Changed(Chosen(source, ROWS[1:]), brighter(2)).digest()}) == 4


@pytest.mark.parametrize(("height", "width", "box"), [(10, 20, (5, 0, 15, 10)), (20, 10, (0, 5, 10, 15))])
def test_the_middle_is_cut_out(height: int, width: int, box: tuple[int, int, int, int]) -> None:
    image = pictures(1, height, width)[0]
    assert np.array_equal(square(image, 10), np.asarray(Image.fromarray(image).crop(box)))


def test_resizing_is_pillows_bicubic(source: ImageSource) -> None:
    wide = Image.fromarray(pictures(1, 9, 10)[0]).resize((7, 6), Image.Resampling.BICUBIC)  # 10 * 6 / 9 = 6.67
    found = Resized(source, 6)
    assert np.array_equal(next(found.images()), np.asarray(wide.crop((0, 0, 6, 6))))
    assert found.size() == (6, 6) and found.keys() == source.keys() and len(found) == 12


def test_the_way_of_resizing_is_part_of_the_digest(source: ImageSource) -> None:
    assert len({source.digest(), Resized(source, 6).digest(), Resized(source, 7).digest()}) == 3


@pytest.mark.parametrize("side", [0, -1, 10**6])
def test_an_impossible_size_is_refused(source: ImageSource, side: int) -> None:
    with pytest.raises(UserError, match="--resize: images can be resized to 1 to"):
        Resized(source, side)
