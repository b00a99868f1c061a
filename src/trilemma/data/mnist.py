"""MNIST, and the data sets in its format: 28x28 grey pictures of ten classes.

A picture is padded by two pixels of black on each side to 32x32, and its grey is repeated to RGB: nothing is resampled.
Its prompt is the name of its class.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trilemma.data.datasets import Indices
from trilemma.data.mnist_files import SIDE, Part, Published, fetch, is_whole, read_part
from trilemma.data.rows import rows_inside
from trilemma.errors import UserError, suggest

PADDING = 2
RESOLUTION = SIDE + 2 * PADDING
SPLITS = ("train", "test", "fit", "validation")

# Xiao et al., arXiv 1708.07747; https://github.com/zalandoresearch/fashion-mnist
FASHION_MNIST = Published(
    name="fashion-mnist",
    in_torchvision="FashionMNIST",
    classes=(
        "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
    ),
    sha256={
        "train": "16d82e2b505296aa2b78bd5ea0992634f30419a4c97def7c907d154a35ac6157",
        "t10k": "9f1ec356a747bfe4ebab3cfb722d3694c9ca737e2570f6f90cf31d7b6fd689d4",
    },
)  # fmt: skip
# LeCun et al., http://yann.lecun.com/exdb/mnist/
MNIST = Published(
    name="mnist",
    in_torchvision="MNIST",
    classes=("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    sha256={},
)


class MnistData:
    """A data set in MNIST's format; see ``datasets.TrainingData`` for what it promises.

    The splits "train" and "test" are the published ones. "validation" is the last sixth of "train" and "fit" the rest:
    models are trained on "fit", so that there are pictures to judge a training by that are no protocol's reference.
    """

    version = 1
    resolution = RESOLUTION
    training_split = "fit"
    gate_split = "validation"

    def __init__(self, published: Published) -> None:
        self.name = published.name
        self.classes = published.classes
        self._published = published
        self._parts: dict[str, Part] = {}

    def count(self, split: str) -> int:
        """Returns how many pictures a split has; raises UserError where the files are missing or damaged."""
        return len(self._rows(split)[1])

    def images(self, split: str, indices: Indices, resolution: int = RESOLUTION) -> NDArray[np.uint8]:
        """Returns pictures as uint8 ``(N, 32, 32, 3)``; there is no other resolution."""
        if resolution != RESOLUTION:
            raise UserError(f"{self.name} has pictures of {RESOLUTION}x{RESOLUTION}, not {resolution}x{resolution}.")
        part, rows = self._chosen(split, indices)
        margin = (PADDING, PADDING)
        padded_NHW = np.pad(part.images[rows], ((0, 0), margin, margin))
        return np.repeat(padded_NHW[..., None], 3, axis=3)

    def prompts(self, split: str, indices: Indices) -> list[str]:
        """Returns the class names of pictures."""
        return [self.classes[label] for label in self.labels(split, indices)]

    def labels(self, split: str, indices: Indices) -> NDArray[np.int64]:
        """Returns the classes of pictures."""
        part, rows = self._chosen(split, indices)
        return part.labels[rows].astype(np.int64)

    def vocabulary(self) -> list[str]:
        """Returns every word of the class names, in lower case, sorted."""
        return sorted({word for name in self.classes for word in name.lower().split()})

    def wrong_prompts(self, split: str, indices: Indices, rng: np.random.Generator) -> list[str]:
        """Returns for each picture the name of another class, all others being as likely."""
        true = self.labels(split, indices)
        wrong = (true + rng.integers(1, len(self.classes), len(true))) % len(self.classes)
        return [self.classes[label] for label in wrong]

    def _chosen(self, split: str, indices: Indices) -> tuple[Part, NDArray[np.int64]]:
        part, inside = self._rows(split)
        return part, rows_inside(indices, len(inside), self.name, split) + inside.start

    def _rows(self, split: str) -> tuple[Part, range]:
        if split not in SPLITS:
            raise UserError(f'{self.name} has no split "{split}".', hint=suggest(split, SPLITS))
        part = self._part("t10k" if split == "test" else "train")
        count = len(part.labels)
        cut = count - count // 6
        return part, {"fit": range(cut), "validation": range(cut, count)}.get(split, range(count))

    def _part(self, stem: str) -> Part:
        if stem not in self._parts:
            self._parts[stem] = read_part(self._published, stem)
        return self._parts[stem]


def open_fashion_mnist(download: bool = False) -> MnistData:
    """Returns Fashion-MNIST: 60,000 and 10,000 pictures of clothes."""
    return _open(FASHION_MNIST, download)


def open_mnist(download: bool = False) -> MnistData:
    """Returns MNIST: 60,000 and 10,000 handwritten digits."""
    return _open(MNIST, download)


def _open(published: Published, download: bool) -> MnistData:
    if download and not is_whole(published):
        fetch(published)
    return MnistData(published)
