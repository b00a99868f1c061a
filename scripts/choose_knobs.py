"""Default knobs of the embedded models, by one rule for all: docs/decisions/010-default-knobs.md.

    python scripts/choose_knobs.py [MODEL...]

Each setting draws one image for each of 2,048 prompts of the split that training is judged on; the protocol's prompts
stay unused. Knobs are swept one after the other, the others at what was chosen or at their defaults. Of the settings
that reach the bar of prompt accuracy, those within two standard errors of the lowest Fréchet distance count as equal;
of these the one with the fewest evaluations wins, then the one nearest to the plain model, which stands first in the
grid.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trilemma import registry
from trilemma.card import Card
from trilemma.data.datasets import TrainingData, open_training_data
from trilemma.features import instrument_folder
from trilemma.features.class_net import load_class_net
from trilemma.features.factor_net import load_factor_net
from trilemma.features.feature_net import FeatureNet
from trilemma.metrics.frechet import Moments, frechet_distance, moments
from trilemma.training.gates import BATCH, CAPTIONS, READERS
from trilemma.training.split import RESOLUTION
from trilemma.workspace import find_workspace

BAR = 0.85
REAL = 10_000
GUIDANCE = (1.0, 1.5, 2.0, 3.0, 4.0)
GRIDS: dict[str | None, dict[str, tuple[float, ...]]] = {
    "gan": {"truncation": (1.0, 0.9, 0.8, 0.7, 0.5)},
    "vqar": {"guidance_scale": GUIDANCE},
    "var": {"guidance_scale": GUIDANCE},
    "diffusers": {"guidance_scale": GUIDANCE, "num_inference_steps": (4, 6, 8, 10, 15, 20)},
}
MODELS = ("gan", "vqar", "var", "ldm")
# Data set to the split of the real images, which no protocol's numbers are chosen by where the data has one to spare.
REFERENCE = {"scenes": "reference", "fashion-mnist": "validation"}
EXTRACTORS: dict[str, Callable[[], FeatureNet]] = {
    "scenes": lambda: load_factor_net(instrument_folder("scenes-features")),
    "fashion-mnist": lambda: load_class_net(instrument_folder("fashion-mnist-features")),
}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What one setting of the knobs reached."""

    knobs: dict[str, float]
    accuracy: float
    distance: float
    se: float
    evaluations: float

    def __str__(self) -> str:
        knobs = ", ".join(f"{name} {value:g}" for name, value in self.knobs.items())
        reached = f"accuracy {self.accuracy:.3f}  distance {self.distance:6.2f} ± {self.se:.2f}"
        return f"{knobs:44s} {reached}  evaluations {self.evaluations:g}"


@dataclass(frozen=True)
class Measures:
    """What judges the pictures of one data set."""

    source: TrainingData
    net: FeatureNet
    real: Moments

    def setting(self, card: Card, knobs: dict[str, float]) -> Setting:
        """Draws the prompts' images at one setting and measures them."""
        generator = registry.load(card, "cpu")
        prompts = self.source.prompts(self.source.gate_split, range(CAPTIONS))
        images = torch.cat([
            generator.generate(prompts[start : start + BATCH], list(range(start, start + BATCH)), **knobs)
            for start in range(0, CAPTIONS, BATCH)
        ])  # fmt: skip
        read = READERS[self.source.name]("cpu")
        with torch.no_grad():
            labels = np.concatenate([read(part.float() / 127.5 - 1) for part in images.split(BATCH)])
        distance = frechet_distance(features(self.net, images), self.real)
        assert distance.value is not None and distance.se is not None
        return Setting(
            knobs=knobs,
            accuracy=float((labels == self.source.labels(self.source.gate_split, range(CAPTIONS))).mean()),
            distance=distance.value, se=distance.se, evaluations=generator.evaluations / CAPTIONS,
        )  # fmt: skip


def measures(data: str) -> Measures:
    """Returns what judges the models of a data set."""
    source, net = open_training_data(data), EXTRACTORS[data]()
    pixels = torch.from_numpy(source.images(REFERENCE[data], range(REAL), RESOLUTION)).permute(0, 3, 1, 2)
    return Measures(source, net, moments(features(net, pixels)))


@torch.no_grad()
def features(net: FeatureNet, images: Tensor) -> NDArray[np.float32]:
    """Returns the features of uint8 images."""
    parts = [net.features(part.float() / 127.5 - 1) for part in images.split(250)]
    return np.concatenate([part.numpy() for part in parts])


def choose(settings: list[Setting]) -> Setting | None:
    """Applies the rule; None where no setting reaches the bar."""
    able = [setting for setting in settings if setting.accuracy >= BAR]
    if not able:
        return None
    best = min(able, key=lambda setting: setting.distance)
    equal = [setting for setting in able if setting.distance <= best.distance + 2 * best.se]
    return min(equal, key=lambda setting: setting.evaluations)


def main(models: list[str]) -> None:
    """Prints what every setting reaches, and the one that the rule takes."""
    judges: dict[str, Measures] = {}
    for model in models:
        card = registry.find_card(model, find_workspace())
        if card.data not in judges:
            judges[card.data] = measures(card.data)
        print(model)
        chosen: dict[str, float] = {}
        for knob, values in GRIDS[card.family].items():
            settings = []
            for value in values:
                settings.append(judges[card.data].setting(card, chosen | {knob: value}))
                print("  ", settings[-1], flush=True)
            best = choose(settings)
            print("   chosen:", best or f"none: no setting reaches an accuracy of {BAR}")
            chosen = best.knobs if best is not None else chosen


if __name__ == "__main__":
    main(sys.argv[1:] or list(MODELS))
