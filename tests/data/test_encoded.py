"""Small files are read once, large ones whenever they are asked for, and memory is bounded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from trilemma.data import encoded
from trilemma.data.sources import open_source
from trilemma.errors import UserError

COUNT = 6


def write(folder: Path, side: int) -> NDArray[np.uint8]:
    images = np.random.default_rng(0).integers(0, 256, (COUNT, side, side, 3), dtype=np.uint8)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number}.png")
    return images


def remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def test_the_bytes_of_a_digest_are_those_that_are_decoded(tmp_path: Path) -> None:
    images = write(tmp_path, 8)
    source = open_source(tmp_path)
    source.digest()
    remove(tmp_path)
    assert np.array_equal(np.stack(list(source.images())), images)
    assert np.array_equal(np.stack(list(source.images(2, 4))), images[2:4])


def test_large_files_are_not_kept(tmp_path: Path) -> None:
    write(tmp_path, 80)
    assert min(path.stat().st_size for path in tmp_path.iterdir()) > encoded.SMALL_FILE
    source = open_source(tmp_path)
    source.digest()
    remove(tmp_path)
    with pytest.raises(UserError, match=r"0\.png"):
        next(source.images())


def test_what_is_kept_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = write(tmp_path, 8)
    monkeypatch.setattr(encoded, "HELD_BYTES", sum((tmp_path / f"{number}.png").stat().st_size for number in range(3)))
    source = open_source(tmp_path)
    source.digest()
    assert np.array_equal(np.stack(list(source.images())), images)
    remove(tmp_path)
    assert np.array_equal(np.stack(list(source.images(0, 3))), images[:3])
    with pytest.raises(UserError, match=r"3\.png"):
        next(source.images(3))
