"""NumPy files as image sources: what is refused, and why."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from trilemma.data import array_file, array_header, limits
from trilemma.data.sources import open_source
from trilemma.errors import UserError

IMAGES = np.random.default_rng(3).integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)


def npy(path: Path, array: NDArray[Any], **options: Any) -> Path:
    np.save(path, array, **options)
    return path


class Trap:
    """Unpickling it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    ("array", "said"),
    (
        (IMAGES.astype(np.float32) / 255, "holds float32; images are uint8"),
        (IMAGES.astype(np.int64), "holds int64; images"),
        (IMAGES.astype(np.uint16), "holds uint16; images"),
        (IMAGES.astype(bool), "holds bool; images"),
        (IMAGES[..., :1], r"shape \(5, 4, 6, 1\)"),
        (IMAGES[..., 0], r"shape \(5, 4, 6\)"),
        (np.concatenate([IMAGES, IMAGES[..., :1]], 3), r"shape \(5, 4, 6, 4\)"),
        (IMAGES[:, :3, :3], r"shape \(5, 3, 3, 3\)"),
        (IMAGES[:0], r"shape \(0, 4, 6, 3\)"),
        (IMAGES[:, :0], "says that it is 6 x 0 pixels"),
        (np.array(7, np.uint8), r"shape \(\)"),
        (np.asfortranarray(IMAGES), "Fortran order"),
    ),
)
def test_refused_arrays(array: NDArray[Any], said: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", array)
    for path in (npy(tmp_path / "a.npy", array), tmp_path / "a.npz"):
        with pytest.raises(UserError, match=said) as caught:
            open_source(path)
        assert caught.value.where == str(path)


@pytest.mark.parametrize("piece", (2**24, 16))
@pytest.mark.parametrize("dtype", (np.float16, np.float32, ">f8"))
def test_nan_is_named_with_its_image(piece: int, dtype: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array_header, "_PIECE_BYTES", piece)
    images = IMAGES.astype(dtype)
    images[3:, 1, 2, 0] = np.nan
    with pytest.raises(UserError, match="and NaN in image 3; images are uint8"):
        open_source(npy(tmp_path / "a.npy", images))


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    trap = np.empty(1, object)
    trap[0] = Trap(tmp_path / "sprung")
    np.savez(tmp_path / "a.npz", trap)
    with pytest.raises(UserError, match="holds object"):
        open_source(tmp_path / "a.npz")
    with pytest.raises(UserError, match="holds object"):
        open_source(npy(tmp_path / "a.npy", trap, allow_pickle=True))
    for name in ("b.npy", "b.npz"):
        (tmp_path / name).write_bytes(pickle.dumps(trap[0]))
        with pytest.raises(UserError, match="cannot be read"):
            open_source(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


def test_statistics_are_no_images(tmp_path: Path) -> None:
    np.savez(tmp_path / "statistics.npz", mu=np.zeros(4), sigma=np.eye(4))
    with pytest.raises(UserError, match="reference statistics, not images"):
        open_source(tmp_path / "statistics.npz")
    np.savez(tmp_path / "both.npz", IMAGES, mu=np.zeros(4), sigma=np.eye(4))  # as ADM's reference batches are
    assert len(open_source(tmp_path / "both.npz")) == 5
    np.savez(tmp_path / "named.npz", images=IMAGES)
    with pytest.raises(UserError, match='no array "arr_0" here. Known: images'):
        open_source(tmp_path / "named.npz")


def test_a_cut_array_is_refused(tmp_path: Path) -> None:
    path = npy(tmp_path / "a.npy", IMAGES)
    whole = path.read_bytes()
    for length, said in ((len(whole) - 1, "promises 5 images"), (100, "cannot be read"), (3, "cannot be read")):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match=said):
            open_source(path)


def test_an_array_that_is_cut_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = npy(tmp_path / "a.npy", IMAGES.repeat(1000, 0))
    found = open_source(path)
    with path.open("r+b") as file:
        file.truncate(200)
    with pytest.raises(UserError, match="it is cut off"):
        list(found.images())


def test_a_header_cannot_ask_for_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY\2\0\xff\xff\xff\xff" + bytes(99))
    with pytest.raises(UserError, match="not of version 1.0"):
        open_source(path)


def test_images_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = npy(tmp_path / "a.npy", IMAGES)
    monkeypatch.setattr(limits, "MAX_PIXELS", 23)
    with pytest.raises(UserError, match="6 x 4 pixels; 1 to 23"):
        open_source(path)


def test_a_damaged_pixel_of_an_npz_is_seen(tmp_path: Path) -> None:
    for number, write in enumerate((np.savez, np.savez_compressed)):
        path = tmp_path / f"{number}.npz"
        write(path, IMAGES)
        data = bytearray(path.read_bytes())
        data[300] ^= 1
        path.write_bytes(data)
        with pytest.raises(UserError, match="cannot be read"):
            list(open_source(path).images())


def test_pieces_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = npy(tmp_path / "a.npy", IMAGES)
    np.savez(tmp_path / "a.npz", IMAGES)
    for piece in (1, 2 * IMAGES[0].size):
        monkeypatch.setattr(array_file, "_PIECE_BYTES", piece)
        for one in (path, tmp_path / "a.npz"):
            found = open_source(one)
            assert np.array_equal(np.stack(list(found.images(1))), IMAGES[1:])
            assert np.array_equal(np.stack(list(found.images())), IMAGES)
