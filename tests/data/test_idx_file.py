"""The idx format: what is read, and what is refused."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from trilemma.data.idx_file import read_idx
from trilemma.errors import UserError

WriteIdx = Callable[[Path, NDArray[np.uint8]], None]
PICTURES = np.arange(5 * 3 * 4, dtype=np.uint8).reshape(5, 3, 4)


def idx(shape: tuple[int, ...], data: bytes, *, kind: int = 8, axes: int | None = None) -> bytes:
    return bytes([0, 0, kind, len(shape) if axes is None else axes]) + struct.pack(f">{len(shape)}I", *shape) + data


@pytest.mark.parametrize("name", ["a-ubyte", "a-ubyte.gz"])
def test_what_was_written_is_read(tmp_path: Path, write_idx: WriteIdx, name: str) -> None:
    write_idx(tmp_path / name, PICTURES)
    assert np.array_equal(read_idx(tmp_path / name, 3), PICTURES)
    write_idx(tmp_path / name, PICTURES.ravel())
    assert np.array_equal(read_idx(tmp_path / name, 1), PICTURES.ravel())


def test_the_content_tells_whether_a_file_is_packed(tmp_path: Path) -> None:
    plain = idx((2,), b"ab")
    (tmp_path / "packed").write_bytes(gzip.compress(plain))
    (tmp_path / "plain.gz").write_bytes(plain)
    assert read_idx(tmp_path / "packed", 1).tolist() == read_idx(tmp_path / "plain.gz", 1).tolist() == [97, 98]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("data", "axes", "message"),
    [
        (b"", 1, "begins with nothing"),
        (idx((2,), b"ab", kind=13), 1, "begins with 00000d01; bytes on 1 axes begin with 00000801"),
        (idx((2,), b"ab"), 3, "bytes on 3 axes begin with 00000803"),
        (b"\x01" + idx((2,), b"ab")[1:], 1, "begins with 01000801"),
        (idx((2,), b"a"), 1, "promises 2 bytes, and it ends after 1"),
        (idx((2,), b"abc"), 1, "promises 2 bytes, and more follow"),
        (idx((0, 28, 28), b""), 3, r"its shape is \(0, 28, 28\)"),
        (idx((2**32 - 1,) * 3, b"abc"), 3, "1 to 2,147,483,648 bytes are read"),
        (idx((2,), b"ab")[:6], 1, "this idx file cannot be read"),
    ],
)
def test_damage_is_told(tmp_path: Path, data: bytes, axes: int, message: str, packed: bool) -> None:
    path = tmp_path / "damaged"
    path.write_bytes(gzip.compress(data) if packed else data)
    with pytest.raises(UserError, match=message) as caught:
        read_idx(path, axes)
    assert str(path) in str(caught.value)


def test_a_damaged_packing_is_told(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(idx((5, 3, 4), PICTURES.tobytes())))
    for name, content in {"cut": packed[:-9], "sum": packed[:-8] + b"\0" * 8}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match="this idx file cannot be read"):
            read_idx(tmp_path / name, 3)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: No such file"):
        read_idx(tmp_path / "none", 1)


def test_no_more_is_unpacked_than_the_header_promises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = idx((2,), b"ab" + bytes(50_000_000))
    (tmp_path / "bomb").write_bytes(gzip.compress(bomb))
    asked: list[int] = []
    read = gzip.GzipFile.read

    def counting(self: gzip.GzipFile, size: int | None = -1) -> bytes:
        asked.append(-1 if size is None else size)
        return read(self, size)

    monkeypatch.setattr(gzip.GzipFile, "read", counting)
    with pytest.raises(UserError, match="more follow"):
        read_idx(tmp_path / "bomb", 1)
    assert asked == [4, 4, 3]


@settings(max_examples=60)
@given(data=st.binary(max_size=64), axes=st.sampled_from([1, 3]))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes, axes: int) -> None:
    path = tmp_path_factory.mktemp("idx") / "file"
    path.write_bytes(data)
    try:
        assert read_idx(path, axes).ndim == axes
    except UserError as error:
        assert str(path) in str(error)
