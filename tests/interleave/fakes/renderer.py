"""A model that renders scenes, on a clock that only its work moves: 1 ms an image, give or take what its process has.

So its time is the work that the engine's code did, and never the machine's doing. Its card's options make it fail.
"""

import os
import time

import numpy as np

from trilemma.data import scenes
from trilemma.generator import GeneratorInfo
from trilemma.timing import clock


class Counted:
    """Stands in for the module ``time``."""

    nanoseconds = 0

    def perf_counter_ns(self):
        return self.nanoseconds


class Images:
    dtype = "torch.uint8"

    def __init__(self, pixels_BHWC):
        self.shape = np.moveaxis(pixels_BHWC, 3, 1).shape

    def cpu(self):
        return self


class Renderer:
    def __init__(self, card):
        self.info = GeneratorInfo(name=card.name, family="renderer", resolution=card.resolution, parameters=3)
        self.evaluations = 0
        self.options = card.options

    def generate(self, prompts, seeds):
        print("models print what they like")
        time.sleep(self.options.get("sleep", 0.0))
        if self.options.get("crash"):
            raise RuntimeError("the renderer fell over")
        if self.options.get("die"):
            os.abort()
        return Images(scenes.images("prompts", [seed % 1000 for seed in seeds], self.info.resolution))


def load(card, device):
    counted, render = Counted(), scenes.render
    per_image = 1_000_000 + os.getpid() % 5 * 1_000

    def counting(known, resolution):
        counted.nanoseconds += per_image * len(known)
        return render(known, resolution)

    clock.time, scenes.render = counted, counting
    return Renderer(card)
