"""The feature extractor of Fashion-MNIST: what it learns, what is told of it, how it is loaded."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from trilemma.data.mnist import open_fashion_mnist
from trilemma.features.class_net import THUMBNAIL, ClassNet, load_class_net
from trilemma.features.feature_net import DAMAGES, FEATURES
from trilemma.training import class_features
from trilemma.training.class_features import ClassStage, held_out, thumbnails
from trilemma.training.loop import Step
from trilemma.training.run import train

CPU = torch.device("cpu")


def test_a_prediction_has_its_parts() -> None:
    net = ClassNet(7).eval()
    prediction = net(torch.rand(3, 3, 32, 32) * 2 - 1)
    assert prediction.logits_BK.shape == (3, 7)
    assert prediction.damage_BD.shape == (3, DAMAGES)
    assert prediction.thumbnail_BP.shape == (3, THUMBNAIL**2)
    assert net.features(torch.zeros(2, 3, 32, 32)).shape == (2, FEATURES)


def test_thumbnails_are_averages() -> None:
    images = torch.zeros(1, 3, 32, 32)
    images[0, :, 4:8, 8:12] = 0.5  # the second row of the 8x8, the third column
    images[0, 0, 31, 31] = -1.0
    found = thumbnails(images)[0].reshape(8, 8)
    assert found[1, 2] == 0.5
    assert found[7, 7] == pytest.approx(-1 / 48)
    assert found.count_nonzero() == 2


def test_all_three_things_are_learned(small_fashion_mnist: Path) -> None:
    torch.manual_seed(0)
    stage = ClassStage(open_fashion_mnist(), CPU)
    first = {name: loss.item() for name, loss in losses(stage, 0).items()}
    for number in range(1, 12):
        last = losses(stage, number)
    assert first.keys() == {"label", "damage", "thumbnail"}
    assert all(last[name].item() < first[name] for name in first)


def losses(stage: ClassStage, number: int) -> dict[str, Tensor]:
    rows = np.random.default_rng(number).permutation(200)[:64]
    return stage.step(Step(number=number, progress=0.3, indices=rows))


class Perfect(ClassNet):
    """Reads the small data set by its grey levels: twenty a class, the mean of noise being 12."""

    def predict(self, features_BN: Tensor) -> object:
        raise AssertionError("features are not looked at")

    def forward(self, images_B3HW: Tensor) -> object:
        grey = (images_B3HW[:, 0, 2:30, 2:30].mean((1, 2)) + 1) * 127.5
        logits = -(grey[:, None] - 12 - 20 * torch.arange(10)).abs()
        damage = torch.zeros(len(grey), DAMAGES)
        damage[:, 0] = 1  # takes everything for clean
        prediction = super().predict(torch.zeros(len(grey), FEATURES))
        return type(prediction)(logits_BK=logits, damage_BD=damage, thumbnail_BP=thumbnails(images_B3HW))


def test_held_out_accuracy_is_that_of_the_test_split(small_fashion_mnist: Path) -> None:
    told = held_out(Perfect(10), open_fashion_mnist(), CPU)
    assert told["class"] == 1.0
    assert told["r2_thumbnail"] == pytest.approx(1.0)
    assert 0.25 < told["damage"] < 0.75  # half of the pictures are damaged
    assert told == held_out(Perfect(10), open_fashion_mnist(), CPU)


def test_the_command_writes_what_is_loaded(
    small_fashion_mnist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ClassStage, "images", 2 * ClassStage.batch_size)
    folder = train(class_features.NAME, device="cpu", out=tmp_path / "features", quiet=True)
    told = json.loads((folder / "held_out.json").read_text())
    assert told.keys() == {"class", "damage", "r2_thumbnail"} and 0 <= told["class"] <= 1
    net = load_class_net(folder)
    assert net.sizes[0] == 10 and not net.training
    images = torch.rand(4, 3, 32, 32)
    assert torch.equal(net(images).logits_BK, load_class_net(folder)(images).logits_BK)
    weights = (folder / "model.safetensors").read_bytes()
    train(class_features.NAME, device="cpu", out=tmp_path / "features", quiet=True)  # finished: nothing is done again
    assert (folder / "model.safetensors").read_bytes() == weights
