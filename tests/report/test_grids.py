from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trilemma.report.grids import Grid, read_grid, read_grids


def write(folder: Path, sidecar: object, size: tuple[int, int] = (128, 64)) -> Path:
    path = folder / "images" / "gan" / "prompted.png"
    path.parent.mkdir(parents=True)
    Image.fromarray(np.zeros((size[1], size[0], 3), np.uint8)).save(path)
    path.with_suffix(".json").write_text(json.dumps(sidecar))
    return path


def test_captions_go_row_by_row(tmp_path: Path) -> None:
    grid = read_grid(write(tmp_path, {"columns": 4, "prompts": list("abcdef")}))
    assert (grid.model, grid.set, grid.size) == ("gan", "prompted", (128, 64))
    assert {tile.caption: tile.box for tile in grid.tiles} | {} == {
        "a": (0, 0, 32, 32), "b": (32, 0, 32, 32), "c": (64, 0, 32, 32), "d": (96, 0, 32, 32),
        "e": (0, 32, 32, 32), "f": (32, 32, 32, 32),
    }  # fmt: skip


def test_neighbours_of_one_prompt_are_one_group(tmp_path: Path) -> None:
    grid = read_grid(write(tmp_path, {"columns": 4, "prompts": ["a"] * 4 + ["b"] * 4}))
    assert [(caption, len(tiles)) for caption, tiles in grid.groups()] == [("a", 4), ("b", 4)]


@pytest.mark.parametrize(
    "sidecar",
    [
        [], {}, {"columns": 4}, {"prompts": ["a"]}, {"columns": 0, "prompts": ["a"]},
        {"columns": 4, "prompts": ["a"] * 9}, {"columns": 1000, "prompts": ["a"]},
    ],
)  # fmt: skip
def test_a_sidecar_that_does_not_fit_is_named(tmp_path: Path, sidecar: object) -> None:
    write(tmp_path, sidecar)
    [(model, where, why)] = [entry for entry in read_grids(tmp_path / "images") if not isinstance(entry, Grid)]
    assert (model, where) == ("gan", "prompted")
    assert why


def test_missing_sidecar_and_damaged_picture_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, {"columns": 4, "prompts": ["a"]})
    path.write_bytes(b"no picture")
    (tmp_path / "images" / "gan" / "other.png").write_bytes(b"no picture either")
    assert [entry[1] for entry in read_grids(tmp_path / "images") if not isinstance(entry, Grid)] == [
        "other",
        "prompted",
    ]
