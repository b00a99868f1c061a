"""Published numbers of CIFAR-10, where the real weights and images are at hand.

``TRILEMMA_WEIGHTS`` (or torch's hub cache) holds Inception; ``TRILEMMA_CIFAR10`` names the folder
``cifar-10-batches-bin`` of the binary version, https://www.cs.toronto.edu/~kriz/cifar.html. All 60,000 images take
minutes on a GPU and hours on a CPU: the first two tests measure 10,000 images, the last one all of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from trilemma.errors import UserError
from trilemma.features.extract import extract
from trilemma.features.extractor import Extractor, load_extractor
from trilemma.features.presets import preset
from trilemma.identity import digest
from trilemma.metrics.frechet import distance_between_moments, moments

VARIABLE = "TRILEMMA_CIFAR10"
BATCHES = {"train": [f"data_batch_{i}.bin" for i in range(1, 6)], "test": ["test_batch.bin"]}


class Cifar:
    """Images of a split of CIFAR-10, by their indices."""

    def __init__(self, split: str, indices: NDArray[np.int64]) -> None:
        folder = Path(os.environ[VARIABLE])
        rows = np.concatenate([np.fromfile(folder / name, np.uint8).reshape(-1, 3073) for name in BATCHES[split]])
        self.pixels = rows[indices, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        self.name = f"CIFAR-10 {split}"
        self.indices = indices

    def __len__(self) -> int:
        return len(self.pixels)

    def digest(self) -> str:
        return digest([self.name, self.indices.tolist()])

    def images(self, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.uint8]]:
        yield from self.pixels[start:stop]


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    if VARIABLE not in os.environ:
        pytest.skip(f"CIFAR-10 is not at hand: set {VARIABLE} to cifar-10-batches-bin")
    try:
        return load_extractor(preset("fid").recipe, "cuda" if torch.cuda.is_available() else "cpu")
    except UserError as error:
        pytest.skip(str(error))


def subset(split: str, images: int) -> Cifar:
    """torch-fidelity's random subsets; it saves them under their indices, and so in ascending order."""
    total = 10_000 * len(BATCHES[split])
    return Cifar(split, np.sort(np.random.RandomState(2020).choice(total, images, replace=False)))


def logits_to_score(logits: NDArray[np.float32], splits: int) -> float:
    """torch-fidelity's Inception score: shuffled by RandomState(2020), the mean over splits."""
    order = np.arange(len(logits))
    np.random.RandomState(2020).shuffle(order)
    logits = logits[order].astype(np.float64)
    log_p = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    parts = [log_p[i * len(log_p) // splits : (i + 1) * len(log_p) // splits] for i in range(splits)]
    return float(np.mean([np.exp((np.exp(q) * (q - np.log(np.exp(q).mean(0)))).sum(1).mean()) for q in parts]))


def test_fid_of_five_thousand_against_five_thousand(extractor: Extractor) -> None:
    real, fake = (extract(subset(split, 5000), {"fid": extractor})["fid"] for split in ("train", "test"))
    fid = distance_between_moments(moments(fake["features"]), moments(real["features"]))
    assert fid == pytest.approx(10.32333, abs=1e-2)


def test_inception_score_of_five_thousand(extractor: Extractor) -> None:
    outputs = extract(subset("train", 5000), {"fid": extractor})["fid"]
    assert logits_to_score(outputs["logits"], 10) == pytest.approx(10.75051, abs=1e-2)


def test_fid_of_the_two_splits(extractor: Extractor) -> None:
    if not torch.cuda.is_available():
        pytest.skip("60,000 images take hours without a GPU")
    real, fake = (
        extract(Cifar(split, np.arange(10_000 * len(names))), {"fid": extractor})["fid"]
        for split, names in BATCHES.items()
    )
    fid = distance_between_moments(moments(fake["features"]), moments(real["features"]))
    assert fid == pytest.approx(3.1508, abs=5e-3)
    assert logits_to_score(real["logits"], 10) == pytest.approx(11.23678, abs=1e-2)
