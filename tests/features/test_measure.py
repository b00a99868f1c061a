"""What is measured of an image without a network: residual, thumbnails; and the instruments' identity."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from trilemma import features
from trilemma.data import scenes
from trilemma.errors import UserError
from trilemma.features.measure import Instruments, residual
from trilemma.features.presets import INCEPTION
from trilemma.protocol import Extractors, Protocol, Reference, SampleSet


def protocol(resolution: int = 32) -> Protocol:
    return Protocol(
        name="small", version=1, title="", resolution=resolution, metrics=(),
        sets=(SampleSet(name="one", prompts="none", images=1),),
        extractors=Extractors(features="net-a", reader="net-b", clip="net-c"), reference=Reference(),
    )  # fmt: skip


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("net-a", "net-b", "net-c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(name.encode())
        (tmp_path / name / "held_out.json").write_text("{}")
    monkeypatch.setattr(features, "instruments_home", lambda: tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "nowhere"))
    monkeypatch.setenv("TRILEMMA_CACHE", str(tmp_path / "nowhere"))
    monkeypatch.delenv("TRILEMMA_WEIGHTS", raising=False)
    return tmp_path


def as_tensor(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2)


@pytest.mark.parametrize("resolution", (32, 48))
def test_a_picture_has_no_residual_to_its_own_rendering(resolution: int) -> None:
    known = scenes.factors("reference", range(20))
    images = scenes.render(known, resolution)
    assert (residual(as_tensor(images), known) == 0).all()
    brighter = np.clip(images.astype(int) + 3, 0, 255).astype(np.uint8)
    np.testing.assert_allclose(residual(as_tensor(brighter), known), 3, atol=0.1)


def test_thumbnails_are_averages_of_four_pixels() -> None:
    images = scenes.images("reference", range(4))
    expected = np.rint(images.reshape(4, 16, 2, 16, 2, 3).mean((2, 4))).transpose(0, 3, 1, 2).reshape(4, -1)
    thumbnails = Instruments.thumbnails(object.__new__(Instruments), as_tensor(images))
    assert thumbnails.shape == (4, 768)
    assert thumbnails.dtype == np.uint8
    assert np.abs(thumbnails.astype(int) - expected).max() == 0


def test_identity_changes_with_the_weights_alone(home: Path) -> None:
    first = features.identity(protocol())
    assert first.keys() == {"features", "reader", "clip"}
    (home / "net-a" / "held_out.json").write_text('{"shape": 1.0}')
    assert features.identity(protocol()) == first
    (home / "net-a" / "model.safetensors").write_bytes(b"other")
    changed = features.identity(protocol())
    assert changed["features"] != first["features"]
    assert changed["reader"] == first["reader"]


def test_an_unknown_instrument_gets_a_suggestion(home: Path) -> None:
    with pytest.raises(UserError, match='unknown instrument "net-d".*Did you mean'):
        features.instrument_folder("net-d")


def test_inception_is_used_where_its_weights_are(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert features.inception_file() is None
    (home / INCEPTION.name).write_bytes(b"weights")
    monkeypatch.setenv("TRILEMMA_WEIGHTS", str(home))
    assert features.inception_file() == home / INCEPTION.name
    assert "inception" in features.identity(protocol())


def test_other_sizes_are_refused(home: Path) -> None:
    with pytest.raises(UserError, match="32x32"):
        Instruments(protocol(resolution=64), "cpu")


def test_a_protocol_without_networks_has_none() -> None:
    without = replace(protocol(), extractors=None, reference=None)
    assert features.identity(without) == {}
    with pytest.raises(UserError, match="small: extractors: the protocol names no networks"):
        Instruments(without, "cpu")
