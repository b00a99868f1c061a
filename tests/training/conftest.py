"""A stage small enough to train in a test, with everything that a resumed run has to bring back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from trilemma.data.scenes_data import ScenesData
from trilemma.training import text_encoder
from trilemma.training.loop import Stage, Step, learning_rate
from trilemma.training.split import TrainingSplit


class Killed(Exception):
    """Stands for a process that dies."""


class TinyStage(Stage):
    """Dropout and noise draw random numbers, Adam keeps moments, batch norm keeps buffers."""

    name = "tiny"
    batch_size = 8
    averaged = ("net",)

    def __init__(self, images: int = 160, die_at: int | None = None) -> None:
        torch.manual_seed(5)
        self.data = TrainingSplit(ScenesData())
        self.images, self.die_at = images, die_at
        self.net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 1))
        self.other = nn.Linear(1, 1)
        self.modules = {"net": self.net, "other": self.other}
        parameters = [*self.net.parameters(), *self.other.parameters()]
        self.optimizers = {"adam": torch.optim.Adam(parameters)}
        self.seen: list[np.ndarray] = []
        self.progress: list[float] = []

    def step(self, step: Step) -> dict[str, Tensor]:
        if step.number == self.die_at:
            raise Killed
        self.seen.append(step.indices)
        self.progress.append(step.progress)
        learning_rate(self.optimizers["adam"], 1e-2, step.progress)
        x = torch.from_numpy(step.indices[:, None] / 100_000 + np.arange(4)).float()
        loss = (self.other(self.net(x + 0.1 * torch.randn_like(x))) - x.sum(1, keepdim=True)).square().mean()
        self.optimizers["adam"].zero_grad()
        loss.backward()
        self.optimizers["adam"].step()
        return {"loss": loss}


@pytest.fixture
def tiny_stage() -> type[TinyStage]:
    return TinyStage


@pytest.fixture
def killed() -> type[Killed]:
    return Killed


@pytest.fixture(scope="session")
def text_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text encoder, untrained, as training writes it."""
    folder = tmp_path_factory.mktemp("text-encoder")
    torch.manual_seed(0)
    stage = text_encoder.TextEncoderStage(TrainingSplit(ScenesData()), torch.device("cpu"), width=32)
    weights = {name: module.state_dict() for name, module in stage.modules.items()}
    text_encoder.export(stage, weights, folder)
    return folder
