"""A model in three stages that sleeps: the larger a batch, the faster an image, up to where memory ends; from
``breaks`` images on it fails, and in every call after that."""

import time

import torch

from trilemma.generator import GeneratorInfo, SampleStreams, check_batch
from trilemma.stages import DECODE, SAMPLE, TEXT, stage


class Staged:
    def __init__(self, card):
        self.info = GeneratorInfo(
            name=card.name,
            family="staged",
            resolution=card.resolution,
            parameters=16,
            capabilities=frozenset({"bf16", "compile"}),
        )
        self.evaluations = 0
        self.fits = card.options["fits"]
        self.breaks = card.options.get("breaks", 10**9)
        self.broken = False
        self.weight = torch.ones(4, 4)
        self.compiled = False

    def prepare(self, *, precision, compiled):
        self.weight = self.weight.to(torch.bfloat16 if precision == "bf16" else torch.float32)
        self.compiled = compiled

    def generate(self, prompts, seeds):
        check_batch(prompts, seeds)
        with stage(TEXT):
            time.sleep(0.001)
        with stage(SAMPLE):
            self.broken |= len(prompts) >= self.breaks
            if self.broken:
                raise RuntimeError("CUDA error: an illegal memory access was encountered")
            if len(prompts) > self.fits:
                raise torch.OutOfMemoryError(f"CUDA out of memory. {len(prompts)} images are too many.")
            self.evaluations += 3 * len(prompts)
            self.weight @ self.weight
            time.sleep(0.003)
        with stage(DECODE):
            grey = SampleStreams(seeds).uniform(1)[:, :, None, None]
            side = self.info.resolution
            return (255 * grey).to(torch.uint8).expand(-1, 3, side, side).contiguous()


def load(card, device):
    return Staged(card)
