"""What data sets of files have in common: squares, in an order that is drawn once and for all.

As they are stored, one class often comes before the other; the first pictures of a data set are taken for a sample.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from trilemma.data.datasets import Indices
from trilemma.data.encoded import Encoded
from trilemma.data.labelled import LabelledImages
from trilemma.data.squares import square
from trilemma.errors import UserError

NO_CLASS = -1
ORDER_SEED = 0
Captions = Callable[[NDArray[np.int64]], list[str]]


class MixedSplit:
    """The pictures of one split in a drawn order.

    Args:
        name: of data set and split, for errors.
        files: the pictures as they are stored.
        labels_N: their classes; -1 where there is none.
        captions: returns the captions of pictures by their places in ``files``; None where there are no captions.
        part: which of the drawn order the split has.
    """

    def __init__(
        self,
        name: str,
        files: Encoded,
        labels_N: NDArray[np.int64],
        captions: Captions | None = None,
        part: slice = slice(None),
    ) -> None:
        self.name, self.files, self.labels_N, self.captions = name, files, labels_N, captions
        self.order_N: NDArray[np.int64] = np.random.default_rng(ORDER_SEED).permutation(len(files))[part]

    @classmethod
    def of(cls, name: str, files: LabelledImages) -> MixedSplit:
        """Returns the split of pictures that tell their classes and captions themselves."""
        return cls(name, files, files.labels(), files.captions if files.has_captions else None)

    def rows(self, indices: Indices) -> NDArray[np.int64]:
        """Returns the places in ``files`` of some pictures; raises UserError where there are none."""
        wanted = np.asarray(indices, dtype=np.int64)
        if wanted.size and not (0 <= wanted.min() and wanted.max() < len(self.order_N)):
            raise UserError(f"{self.name}: an index is outside the split ({wanted.min()} to {wanted.max()}).")
        return self.order_N[wanted]


class MixedData(ABC):
    """A data set of files; see ``datasets.DataSet`` for what it promises. Pictures are cut to squares."""

    resolution = None
    name: str

    @property
    @abstractmethod
    def classes(self) -> tuple[str, ...]:
        """The names of the classes in the order of their labels; none where they are not known."""

    @abstractmethod
    def _of(self, split: str) -> MixedSplit:
        """Returns a split; raises UserError where there is none of that name."""

    def count(self, split: str) -> int:
        """Returns how many pictures a split has."""
        return len(self._of(split).order_N)

    def images(self, split: str, indices: Indices, resolution: int) -> NDArray[np.uint8]:
        """Returns pictures as squares, uint8 ``(N, resolution, resolution, 3)``."""
        part = self._of(split)
        rows = part.rows(indices)
        images_NHWC = np.empty((len(rows), resolution, resolution, 3), np.uint8)
        # Read in the order of the files: neighbours of a shard are then read together.
        places = np.argsort(rows, kind="stable")
        for place, image in zip(places, part.files.at(rows[places].tolist()), strict=True):
            images_NHWC[place] = square(image, resolution)
        return images_NHWC

    def prompts(self, split: str, indices: Indices) -> list[str]:
        """Returns the captions of pictures, or else their classes' names; raises UserError where there are neither."""
        part = self._of(split)
        if part.captions is not None:
            return part.captions(part.rows(indices))
        labels_N = self.labels(split, indices)
        if not self.classes or (labels_N == NO_CLASS).any():
            hint = 'Name a "file" of prompts in the protocol.'
            raise UserError(f'the pictures of "{self.name}", split "{split}", have no prompts.', hint=hint)
        if labels_N.max(initial=0) >= len(self.classes):
            told = f"there are {len(self.classes)} classes, and a label {labels_N.max()}"
            raise UserError(f'{told}, in "{self.name}", split "{split}".')
        return [self.classes[label] for label in labels_N]

    def labels(self, split: str, indices: Indices) -> NDArray[np.int64]:
        """Returns the classes of pictures; -1 where they have none."""
        part = self._of(split)
        return part.labels_N[part.rows(indices)]
