"""The controls that anchor scores, drawn from the renderer as the real ones are."""

import torch

from trilemma.data import scenes
from trilemma.generator import GeneratorInfo


class Control:
    def __init__(self, card):
        self.kind = card.options["kind"]
        self.info = GeneratorInfo(name=card.name, family="controls", resolution=card.resolution, parameters=0)
        self.evaluations = 0

    def generate(self, prompts, seeds):
        pixels = scenes.images(self.kind, [seed % 10**6 for seed in seeds], self.info.resolution)
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        if self.kind == "real":
            return images
        small = torch.nn.functional.adaptive_avg_pool2d(images.float(), 4)
        return torch.nn.functional.interpolate(small, self.info.resolution).to(torch.uint8)


def load(card, device):
    return Control(card)
