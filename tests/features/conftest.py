"""Networks with random weights in the published layouts, so that everything but the real files is tested."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from trilemma.features.inception import TFInception
from trilemma.features.weights import VARIABLE

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="session")
def pictures() -> Callable[..., Pixels]:
    """Draws uint8 ``(count, height, width, 3)``."""
    return draw_pictures


def draw_pictures(count: int, height: int, width: int, seed: int = 0) -> Pixels:
    """Smooth colour ramps with some grain: unlike noise, they tell one resize from another."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    angle = rng.uniform(0, 2 * np.pi, (count, 1, 1, 3))
    waves = np.sin(0.3 * (x[..., None] * np.cos(angle) + y[..., None] * np.sin(angle)) + angle)
    return np.clip(127 + 100 * waves + rng.normal(0, 8, waves.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def random_tensors() -> Callable[..., dict[str, torch.Tensor]]:
    """Draws a state dict for a network."""
    return draw_tensors


def draw_tensors(network: nn.Module, seed: int = 0) -> dict[str, torch.Tensor]:
    """Weights that neither vanish nor explode on the way through, and statistics unlike those of a new network."""
    draw = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, tensor in network.state_dict().items():
        if not tensor.is_floating_point():
            tensors[name] = tensor.clone()
        elif name.endswith("running_var"):
            tensors[name] = torch.rand(tensor.shape, generator=draw) + 0.5
        elif tensor.dim() < 2:
            tensors[name] = tensor + 0.1 * torch.randn(tensor.shape, generator=draw)
        else:
            fan = tensor[0].numel()
            tensors[name] = torch.randn(tensor.shape, generator=draw) * (2 / fan) ** 0.5
    return tensors


@pytest.fixture(scope="session")
def inception_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """TF-Inception in torch-fidelity's layout."""
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save(draw_tensors(TFInception()), path)
    yield path
    path.unlink()


@pytest.fixture(autouse=True)
def no_weights_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Tests see no weights but their own; those of published values take what the machine has."""
    if request.node.path.name == "test_published_values.py":
        return
    for name in ("TRILEMMA_CACHE", "TORCH_HOME", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "nowhere"))
    for name in (VARIABLE, "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
