"""``stats`` at size: what it holds does not grow with the images, and what was measured once is not looked at again."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from trilemma.data import encoded, scenes
from trilemma.features import cache as cache_module
from trilemma.features.cache import read_in_blocks
from trilemma.features.extract import extract
from trilemma.features.presets import preset
from trilemma.metrics.moments import moments, stream_moments
from trilemma.scoring import networks
from trilemma.scoring.networks import Networks
from trilemma.scoring.resolve import Resolver
from trilemma.scoring.score import score
from trilemma.scoring.stats import write_statistics

WIDTH = 1024
SCENES = preset("scenes")


class Wide:
    """A network that takes no time: its features are larger than the images."""

    identity = {"network": "wide"}
    width = WIDTH
    device = torch.device("cpu")

    def batch(self, images: Sequence[Any]) -> dict[str, Any]:
        of_image_B = np.stack([image[:, :, 0].sum() for image in images])
        return {"features": (of_image_B[:, None] * np.linspace(0, 1, WIDTH)).astype(np.float32)}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRILEMMA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Networks(extractors={SCENES.name: Wide()}, owners={SCENES.name: SCENES.name})  # type: ignore[dict-item]
    monkeypatch.setattr(networks, "load_networks", lambda *told: found)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the images that are decoded."""
    names: list[str] = []
    original = encoded.decode
    monkeypatch.setattr(encoded, "decode", lambda data, where: names.append(where) or original(data, where))
    return names


def save(folder: Path, count: int, split: str = "train") -> Path:
    folder.mkdir()
    for number, image in enumerate(scenes.images(split, range(count))):
        Image.fromarray(image).save(folder / f"{number:05d}.png")
    return folder


def peak(folder: Path, out: Path) -> int:
    tracemalloc.start()
    try:
        write_statistics(Resolver().side(str(folder)), out, SCENES)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_images(wide: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "SHARD", 64)
    few, many = 400, 1600
    folders = save(tmp_path / "few", few), save(tmp_path / "many", many)
    peaks = [peak(folder, tmp_path / f"{folder.name}.npz") for folder in folders]
    image, features = 32 * 32 * 3, WIDTH * 4
    assert (peaks[1] - peaks[0]) / (many - few) < min(image, features) / 2  # names of files, and no more


def test_statistics_are_those_of_all_features_at_once(tmp_path: Path) -> None:
    found = extract(Resolver().side(str(save(tmp_path / "a", 1500))).images, {"a": Wide()})["a"]["features"]  # type: ignore[arg-type]
    blocks = list(read_in_blocks(found))
    assert len(blocks) > 1 and np.array_equal(np.concatenate(blocks), found)
    whole, streamed = moments(found), stream_moments(blocks)
    np.testing.assert_allclose(streamed.mean_D, whole.mean_D, rtol=1e-12)
    np.testing.assert_allclose(streamed.covariance_DD, whole.covariance_DD, rtol=1e-9)


def test_images_that_were_measured_are_not_decoded_again(tmp_path: Path, decoded: list[str]) -> None:
    real, fake = save(tmp_path / "real", 70), save(tmp_path / "fake", 30, "heldout")
    side = Resolver().side
    first = write_statistics(side(str(real)), tmp_path / "one.npz", SCENES)
    assert len(decoded) == 70
    again = write_statistics(side(str(real)), tmp_path / "two.npz", SCENES)
    assert len(decoded) == 70 and np.array_equal(again.features.covariance_DD, first.features.covariance_DD)
    score(side(str(real)), side(str(fake)), (SCENES,))
    assert len(decoded) == 100 and all(name.startswith(str(fake)) for name in decoded[70:])
    decoded.clear()
    score(side(str(real)), side(str(fake)), (SCENES,))
    score(side(str(tmp_path / "one.npz")), side(str(fake)), (SCENES,))
    assert decoded == []
    Image.new("RGB", (32, 32)).save(real / "00007.png")
    write_statistics(side(str(real)), tmp_path / "one.npz", SCENES)
    assert len(decoded) == 70
