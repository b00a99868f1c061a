"""How properties are tried, and a small data set in Fashion-MNIST's format, where the data home is looked for."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray

from trilemma.data import home, mnist

# No test fails because its machine is busy.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

WriteIdx = Callable[[Path, NDArray[np.uint8]], None]


def write_idx_file(path: Path, array: NDArray[np.uint8]) -> None:
    """As the published files are written; packed where the name ends in .gz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    data = header + array.tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@pytest.fixture
def write_idx() -> WriteIdx:
    return write_idx_file


@pytest.fixture
def small_fashion_mnist(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """240 pictures to train on and 60 to test with. The folder holds the four files; no others are found."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(3)
    for stem, count in (("train", 240), ("t10k", 60)):
        labels = np.arange(count, dtype=np.uint8) * 7 % 10
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8) // 10 + 20 * labels[:, None, None]
        write_idx_file(root / "fashion-mnist" / f"{stem}-images-idx3-ubyte.gz", images.astype(np.uint8))
        write_idx_file(root / "fashion-mnist" / f"{stem}-labels-idx1-ubyte", labels)
    monkeypatch.setenv(home.VARIABLE, str(root))
    monkeypatch.setattr(mnist, "FASHION_MNIST", replace(mnist.FASHION_MNIST, sha256={}))
    return root / "fashion-mnist"
