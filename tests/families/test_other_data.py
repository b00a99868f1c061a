"""The recipes on another data set than Scenes, and Scenes as it was before there was any."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from trilemma import registry
from trilemma.card import Card
from trilemma.data.datasets import TrainingData
from trilemma.data.mnist import open_fashion_mnist
from trilemma.data.scenes_data import ScenesData
from trilemma.training import loop
from trilemma.training.captions import drop_captions, wrong_captions
from trilemma.training.loop import Step
from trilemma.training.split import TrainingSplit
from trilemma.training.text_encoder import build_tokenizer

TrainTiny = Callable[[Path, str, TrainingData, Path], Card]
ALL = ("gan", "vqar", "var", "ldm")
# Taken before the recipes knew of any data set but Scenes.
FED = "d8cf04e1ac4c1725a18eba340fc558b77ba3fb766db97038425eeefec76b22f4"
LOSSES = {
    "gan": {"generator": {"d": 0.6925234, "match": 0.6863346, "r": 3.5862677e-4, "g": 0.6949161}},
    "vqar": {"tokenizer": {"loss": 3.9624476, "mse": 0.3218543}, "prior": {"loss": 4.1609993}},
    "var": {"tokenizer": {"loss": 4.4613256, "extra": 0.2431367, "mse": 0.4266284}, "transformer": {"loss": 3.4650187}},
    "ldm": {"tokenizer": {"loss": 4.4222364, "mse": 0.4613085}, "unet": {"loss": 2.1673534}},
}


@pytest.mark.parametrize("name", ALL)
def test_every_family_is_trained_on_fashion_mnist(
    tmp_path: Path,
    name: str,
    small_fashion_mnist: Path,
    train_tiny: TrainTiny,
    write_text_folder: Callable[[Path, TrainingData], Path],
) -> None:
    source = open_fashion_mnist()
    card = train_tiny(tmp_path / name, name, source, write_text_folder(tmp_path / "text", source))
    images = registry.load(card, "cpu").generate(["ankle boot", "", "T-shirt/top"], [1, 2, 3])
    assert images.shape == (3, 3, 32, 32)
    assert not torch.equal(images[0], images[2])


def test_steps_on_scenes_are_fed_what_they_were() -> None:
    """Indices, pixels, captions, dropped and wrong ones, and the tokenizer, byte by byte."""
    data, fed = TrainingSplit(ScenesData()), hashlib.sha256()
    for number in (0, 1, 3124, 3125, 9999):
        indices = loop._indices(1, number, 32, data.count)
        step = Step(number=number, progress=0.0, indices=indices)
        captions = data.prompts(indices)
        texts = [*captions, *drop_captions(captions, step), *wrong_captions(data, step)]
        pixels = data.pictures(indices, torch.device("cpu")).numpy()
        labels = data.labels(indices, torch.device("cpu")).numpy()
        for part in (indices, pixels, labels, np.array([ord(letter) for letter in "\n".join(texts)])):
            fed.update(np.ascontiguousarray(part).tobytes())
    fed.update(json.dumps(json.loads(build_tokenizer(data.source.vocabulary()).backend_tokenizer.to_str())).encode())
    assert fed.hexdigest() == FED


@pytest.mark.parametrize("name", ALL)
def test_training_on_scenes_goes_as_it_went(trained: Callable[[str], Card], name: str) -> None:
    """The losses of the last step of each stage; machines round differently, and so does the fourth digit."""
    checkpoints = trained(name).path / "checkpoints"
    last = {path.stem: json.loads(path.read_text().splitlines()[-1]) for path in checkpoints.glob("*.jsonl")}
    assert last.keys() == LOSSES[name].keys()
    for stage, losses in LOSSES[name].items():
        assert {key: last[stage][key] for key in losses} == pytest.approx(losses, rel=1e-3), stage
