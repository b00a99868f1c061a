"""What a trained model must reach before it is compared with anything, measured by the factor reader.

The captions are of a split of their own, so that no protocol's prompts are used up while training is judged.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from trilemma import registry
from trilemma.card import Card
from trilemma.data import scenes
from trilemma.families.weights import to_uint8
from trilemma.features import instrument_folder
from trilemma.features.factor_net import FactorNet, load_factor_net, read_factors

SPLIT = "gate"
READER = "scenes-reader"
CAPTIONS = 2048
BATCH = 64


def prompt_accuracy(card: Card, device: str, captions: int = CAPTIONS) -> float:
    """Returns the share of captions whose shape, colour and background are all read off the image, at default knobs."""
    generator = registry.load(card, device)
    reader = _reader(device)
    prompts, known = scenes.captions(SPLIT, range(captions)), scenes.factors(SPLIT, range(captions))
    images = [
        generator.generate(prompts[start : start + BATCH], list(range(start, min(start + BATCH, captions))))
        for start in range(0, captions, BATCH)
    ]
    return _readable(reader, images, known)


@torch.no_grad()
def reconstruction_accuracy(reconstruct: Callable[[Tensor], Tensor], device: str, images: int = CAPTIONS) -> float:
    """Returns the same share for real pictures that went through ``reconstruct``, images in [-1, 1] to the same."""
    known = scenes.factors(SPLIT, range(images))
    pixels = torch.from_numpy(scenes.render(known)).permute(0, 3, 1, 2)
    parts = [to_uint8(reconstruct(part.to(device).float() / 127.5 - 1)) for part in pixels.split(BATCH)]
    return _readable(_reader(device), parts, known)


def curve(card: Card, marks: dict[str, Path], device: str, captions: int = 512) -> dict[str, float]:
    """Returns the prompt accuracy of the weights that were set aside during training, by share of the images."""
    from dataclasses import replace

    return {
        mark: round(prompt_accuracy(replace(card, path=folder, weights_sha256={}), device, captions), 4)
        for mark, folder in marks.items()
        if folder.is_dir()
    }


def _reader(device: str) -> FactorNet:
    return load_factor_net(instrument_folder(READER)).to(device)


@torch.no_grad()
def _readable(reader: FactorNet, images: list[Tensor], known: scenes.Factors) -> float:
    read = [read_factors(reader(part.float() / 127.5 - 1)) for part in images]
    names = ("shape", "color", "background")
    right = [np.concatenate([getattr(part, name) for part in read]) == getattr(known, name) for name in names]
    return float(np.logical_and.reduce(right).mean())
