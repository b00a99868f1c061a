"""Default knobs of the embedded models, by one rule for all: docs/decisions/010-default-knobs.md.

    python scripts/choose_knobs.py [MODEL...]

Each setting draws one image for each of 2,048 captions of the split that training is judged on; the protocol's prompts
stay unused. Knobs are swept one after the other, the others at what was chosen or at their defaults. Of the settings
that reach the bar of prompt accuracy, those within two standard errors of the lowest FD-Scenes count as equal; of these
the one with the fewest evaluations wins, then the one nearest to the plain model, which stands first in the grid.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import torch

from trilemma import registry
from trilemma.data import scenes
from trilemma.features.measure import Instruments
from trilemma.metrics.agreement import prompt_accuracy
from trilemma.metrics.frechet import Moments, frechet_distance, moments
from trilemma.protocol import load_protocol
from trilemma.training.gates import BATCH, CAPTIONS, SPLIT
from trilemma.workspace import find_workspace

BAR = 0.85
GUIDANCE = (1.0, 1.5, 2.0, 3.0, 4.0)
GRIDS: dict[str, dict[str, tuple[float, ...]]] = {
    "gan": {"truncation": (1.0, 0.9, 0.8, 0.7, 0.5)},
    "vqar": {"guidance_scale": GUIDANCE},
    "var": {"guidance_scale": GUIDANCE},
    "ldm": {"guidance_scale": GUIDANCE, "num_inference_steps": (4, 6, 8, 10, 15, 20)},
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
        reached = f"accuracy {self.accuracy:.3f}  FD-Scenes {self.distance:6.2f} ± {self.se:.2f}"
        return f"{knobs:44s} {reached}  evaluations {self.evaluations:g}"


def choose(settings: list[Setting]) -> Setting | None:
    """Applies the rule; None where no setting reaches the bar."""
    able = [setting for setting in settings if setting.accuracy >= BAR]
    if not able:
        return None
    best = min(able, key=lambda setting: setting.distance)
    equal = [setting for setting in able if setting.distance <= best.distance + 2 * best.se]
    return min(equal, key=lambda setting: setting.evaluations)


def measure(model: str, knobs: dict[str, float], instruments: Instruments, real: Moments) -> Setting:
    """Draws the captions' images at one setting and measures them."""
    generator = registry.load(registry.find_card(model, find_workspace()), "cpu")
    prompts, known = scenes.captions(SPLIT, range(CAPTIONS)), scenes.factors(SPLIT, range(CAPTIONS))
    images = torch.cat([
        generator.generate(prompts[start : start + BATCH], list(range(start, start + BATCH)), **knobs)
        for start in range(0, CAPTIONS, BATCH)
    ])  # fmt: skip
    measured = instruments.measure(images, prompts)
    names = ("shape", "color", "background")
    read = np.stack([measured[f"read_{name}"] for name in names], axis=1)
    accuracy = prompt_accuracy(read, np.stack([getattr(known, name) for name in names], axis=1))
    distance = frechet_distance(measured["features"], real)
    assert accuracy.value is not None and distance.value is not None and distance.se is not None
    return Setting(
        knobs=knobs, accuracy=accuracy.value, distance=distance.value, se=distance.se,
        evaluations=generator.evaluations / CAPTIONS,
    )  # fmt: skip


def main(models: list[str]) -> None:
    """Prints what every setting reaches, and the one that the rule takes."""
    protocol = load_protocol(find_workspace().benchmarks / "scenes.toml")
    instruments = Instruments(protocol, "cpu")
    pixels = torch.from_numpy(scenes.images("reference", range(10_000))).permute(0, 3, 1, 2)
    parts = [instruments.measure(part, [""] * len(part))["features"] for part in pixels.split(250)]
    real = moments(np.concatenate(parts))
    for model in models:
        print(model)
        chosen: dict[str, float] = {}
        for knob, values in GRIDS[model].items():
            settings = []
            for value in values:
                settings.append(measure(model, chosen | {knob: value}, instruments, real))
                print("  ", settings[-1], flush=True)
            best = choose(settings)
            print("   chosen:", best or f"none: no setting reaches an accuracy of {BAR}")
            chosen = best.knobs if best is not None else chosen


if __name__ == "__main__":
    main(sys.argv[1:] or list(GRIDS))
