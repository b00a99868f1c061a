"""What a trained model must reach before it is compared with anything, measured by a network that reads pictures.

What is asked for comes from a split of its own, so that no protocol's prompts are used up while training is judged.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trilemma import registry
from trilemma.card import Card
from trilemma.data.datasets import TrainingData
from trilemma.families.weights import to_uint8
from trilemma.features import instrument_folder
from trilemma.features.class_net import load_class_net
from trilemma.features.factor_net import load_factor_net, read_factors
from trilemma.training.split import RESOLUTION

CAPTIONS = 2048
BATCH = 64
Reader = Callable[[Tensor], NDArray[np.int64]]


def _scenes_reader(device: str) -> Reader:
    net = load_factor_net(instrument_folder("scenes-reader")).to(device)
    return lambda pixels: read_factors(net(pixels)).mode


def _fashion_mnist_reader(device: str) -> Reader:
    net = load_class_net(instrument_folder("fashion-mnist-features")).to(device)
    return lambda pixels: net(pixels).logits_BK.argmax(1).cpu().numpy()


READERS: dict[str, Callable[[str], Reader]] = {"scenes": _scenes_reader, "fashion-mnist": _fashion_mnist_reader}
"""For each data set what reads the classes off pictures in [-1, 1], on a device. Of Scenes the class is the mode, so
that shape, colour and background must all be right."""


def prompt_accuracy(card: Card, source: TrainingData, device: str, captions: int = CAPTIONS) -> float:
    """Returns the share of prompts whose class is read off the image that was made of them, at default knobs."""
    generator = registry.load(card, device)
    prompts = source.prompts(source.gate_split, range(captions))
    images = [
        generator.generate(prompts[start : start + BATCH], list(range(start, min(start + BATCH, captions))))
        for start in range(0, captions, BATCH)
    ]
    return _readable(source, images, device)


@torch.no_grad()
def reconstruction_accuracy(
    reconstruct: Callable[[Tensor], Tensor], source: TrainingData, device: str, images: int = CAPTIONS
) -> float:
    """Returns the same share for real pictures that went through ``reconstruct``, images in [-1, 1] to the same."""
    pixels = torch.from_numpy(source.images(source.gate_split, range(images), RESOLUTION)).permute(0, 3, 1, 2)
    parts = [to_uint8(reconstruct(part.to(device).float() / 127.5 - 1)) for part in pixels.split(BATCH)]
    return _readable(source, parts, device)


def real_accuracy(source: TrainingData, device: str, images: int = CAPTIONS) -> float:
    """Returns the same share for the real pictures themselves: what a perfect model would reach."""
    return reconstruction_accuracy(lambda pixels: pixels, source, device, images)


def curve(
    card: Card, source: TrainingData, marks: dict[str, Path], device: str, captions: int = 512
) -> dict[str, float]:
    """Returns the prompt accuracy of the weights that were set aside during training, by share of the images."""
    from dataclasses import replace

    return {
        mark: round(prompt_accuracy(replace(card, path=folder, weights_sha256={}), source, device, captions), 4)
        for mark, folder in marks.items()
        if folder.is_dir()
    }


@torch.no_grad()
def _readable(source: TrainingData, images: list[Tensor], device: str) -> float:
    read = READERS[source.name](device)
    labels = np.concatenate([read(part.float() / 127.5 - 1) for part in images])
    return float((labels == source.labels(source.gate_split, range(len(labels)))).mean())
