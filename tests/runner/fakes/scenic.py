"""A family between real scenes and blurred ones: sharper and slower with more steps, narrower with less breadth."""

import time

import torch

from trilemma.data import scenes
from trilemma.generator import GeneratorInfo, Knob, check_batch, resolve_knobs

KNOBS = (
    Knob(name="steps", kind="int", default=4, minimum=1, maximum=8, description="Each makes the picture sharper."),
    Knob(name="breadth", kind="float", default=1.0, minimum=0.0, maximum=1.0, description="Of what is drawn."),
)


class Scenic:
    def __init__(self, card):
        self.info = GeneratorInfo(
            name=card.name, family="scenic", resolution=card.resolution, parameters=7, knobs=KNOBS
        )
        self.evaluations = 0
        self.pause = card.options.get("pause", 0.0)

    def generate(self, prompts, seeds, **knobs):
        check_batch(prompts, seeds)
        settings = resolve_knobs(self.info.knobs, knobs)
        self.evaluations += settings["steps"] * len(prompts)
        time.sleep(self.pause * settings["steps"] * len(prompts))
        pictures = 1 + int(1000 * settings["breadth"])
        pixels = scenes.images("scenic", [seed % pictures for seed in seeds], self.info.resolution)
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float()
        small = torch.nn.functional.adaptive_avg_pool2d(images, 4)
        blurred = torch.nn.functional.interpolate(small, self.info.resolution)
        share = settings["steps"] / 8
        return (share * images + (1 - share) * blurred).round().to(torch.uint8)


def load(card, device):
    return Scenic(card)
