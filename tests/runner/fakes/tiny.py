"""A family that draws coloured noise; its card's options make it multiply, crash, die or dawdle on purpose."""

import os
import time

import torch

from trilemma.generator import GeneratorInfo, Knob, Noised, SampleStreams, check_batch, resolve_knobs

KNOBS = (Knob(name="contrast", kind="float", default=1.0, minimum=0.0, maximum=4.0, description="Of the noise."),)


class Tiny:
    def __init__(self, card):
        able = frozenset(word for word in ("trace", "noising") if card.options.get(word))
        self.info = GeneratorInfo(
            name=card.name, family="tiny", resolution=card.resolution, parameters=7, knobs=KNOBS, capabilities=able
        )
        self.evaluations = 0
        self.options = card.options
        self.images = 0

    def generate(self, prompts, seeds, **knobs):
        check_batch(prompts, seeds)
        contrast = resolve_knobs(self.info.knobs, knobs)["contrast"]
        self.images += len(prompts) if len(prompts) >= 16 else 0  # timed calls are smaller, and of no fixed number
        self.evaluations += 2 * len(prompts)
        print("models print what they like")
        self._misbehave(len(prompts))
        width = self.options.get("width", 0)
        if width:
            torch.ones(len(prompts), width) @ torch.ones(width, width)
        noise = SampleStreams(seeds).normal(3, 8, 8) * contrast * 40
        shift = torch.tensor([float(sum(map(ord, prompt)) % 97) for prompt in prompts])[:, None, None, None]
        scale = self.info.resolution // 8
        big = (noise + 80 + shift).repeat_interleave(scale, 2).repeat_interleave(scale, 3)
        return big.clamp(0, 255).to(torch.uint8)

    def trace(self, prompts, seeds, **knobs):
        whole, frames = self.generate(prompts, seeds, **knobs), self.options["trace"]
        if frames < 0:
            raise RuntimeError("nothing to see <here>")
        return [whole // (frames - place) for place in range(frames)]

    def noise(self, images, seeds, **knobs):
        return Noised(frames=[images // 2, images // 4], space="pixels")

    def _misbehave(self, count):
        time.sleep(self.options.get("sleep", 0.0))
        if 0 < self.options.get("crash_after", 0) < self.images:
            raise RuntimeError("the network fell over")
        if 0 < self.options.get("die_after", 0) < self.images:
            os.abort()


def load(card, device):
    return Tiny(card)
