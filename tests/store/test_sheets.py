"""All images of a model as sheets: what is written comes back, and nothing else is taken for it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trilemma.errors import UserError
from trilemma.store.sheets import INDEX, SHEET_BYTES, Sheets, columns_for, find_sheets, write_sheets

SIDE = 8


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)


def write(folder: Path, **counts: int) -> dict[str, np.ndarray]:
    images = {name: noise(count, seed) for seed, (name, count) in enumerate(counts.items())}
    write_sheets(folder, SIDE, {name: (len(of_set), of_set) for name, of_set in images.items()})
    return images


def test_every_image_comes_back(tmp_path: Path) -> None:
    images = write(tmp_path, prompted=300, few=5, whole=256)
    sheets = Sheets(tmp_path)
    for name, wanted in images.items():
        assert np.array_equal(sheets.images(name, range(len(wanted))), wanted)
    assert np.array_equal(sheets.images("prompted", [299, 0, 256]), images["prompted"][[299, 0, 256]])
    assert sheets.images("few", []).shape == (0, SIDE, SIDE, 3)
    assert sheets.index.files("prompted") == ["prompted-000.png", "prompted-001.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [INDEX, *(name for of_set in images for name in sheets.index.files(of_set))]
    )


def test_tiles_go_row_by_row(tmp_path: Path) -> None:
    images = write(tmp_path, prompted=20)
    with Image.open(tmp_path / "prompted-000.png") as picture:
        assert picture.size == (16 * SIDE, 2 * SIDE)
        pixels = np.asarray(picture)
    assert np.array_equal(pixels[:SIDE, SIDE : 2 * SIDE], images["prompted"][1])
    assert np.array_equal(pixels[SIDE:, :SIDE], images["prompted"][16])
    assert not pixels[SIDE:, 4 * SIDE :].any()


@pytest.mark.parametrize(("side", "columns"), [(8, 16), (32, 16), (64, 13), (128, 6), (256, 3), (512, 1), (1024, 1)])
def test_a_sheet_stays_within_its_bytes(side: int, columns: int) -> None:
    assert columns_for(side) == columns
    assert columns == 1 or 3 * (columns * side) ** 2 <= SHEET_BYTES


def test_equal_images_are_equal_bytes(tmp_path: Path) -> None:
    images = noise(40)
    write_sheets(tmp_path / "a", SIDE, {"prompted": (40, images)})
    write_sheets(tmp_path / "b", SIDE, {"prompted": (40, (image for image in images.copy()))})
    assert (tmp_path / "a" / "prompted-000.png").read_bytes() == (tmp_path / "b" / "prompted-000.png").read_bytes()


def test_where_there_is_no_index_there_are_no_sheets(tmp_path: Path) -> None:
    write(tmp_path, prompted=3)
    assert find_sheets(tmp_path) is not None
    (tmp_path / INDEX).unlink()
    assert find_sheets(tmp_path) is None


@pytest.mark.parametrize(
    "index",
    [
        "no json",
        "[]",
        "{}",
        json.dumps({"tile": 8, "columns": 16, "sets": {"../../secret": 1}}),
        json.dumps({"tile": 0, "columns": 16, "sets": {"prompted": 3}}),
        json.dumps({"tile": 8, "columns": 17, "sets": {"prompted": 3}}),
        json.dumps({"tile": 8, "columns": 16, "sets": {"prompted": -3}}),
        json.dumps({"tile": 8, "columns": 16, "sets": {"prompted": "3"}}),
    ],
)
def test_a_damaged_index_is_named(tmp_path: Path, index: str) -> None:
    (tmp_path / INDEX).write_text(index)
    with pytest.raises(UserError) as caught:
        find_sheets(tmp_path)
    assert INDEX in str(caught.value.where)


def test_a_sheet_that_is_missing_damaged_or_another_is_named(tmp_path: Path) -> None:
    write(tmp_path, prompted=3)
    path = tmp_path / "prompted-000.png"
    for spoil, message in (
        (lambda: Image.new("RGB", (8, 8)).save(path), "not of the size"),
        (lambda: path.write_bytes(b"no picture"), "no PNG"),
        (path.unlink, "missing"),
    ):
        spoil()
        with pytest.raises(UserError, match=message):
            Sheets(tmp_path).images("prompted", [0])
