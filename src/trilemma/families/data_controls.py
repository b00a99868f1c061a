"""The controls over a data set whose truth nobody knows: real pictures of what the prompt says, whole or damaged.

- ``real``, ``reduced``, ``noisy``: held-out pictures of the prompt's class; without a prompt, of any.
- ``mode-drop``: a quarter of the classes without a prompt; of each class the darker half of its pictures.
- ``memorizer``: pictures of the training split.

Told a plan, a control shows no picture twice in a set as long as there are others: drawn with replacement, N of a few
thousand pictures would be worth fewer than N. Without a plan each seed draws for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trilemma.data.classes import class_names
from trilemma.data.datasets import DataSet
from trilemma.data.of_protocol import data_at
from trilemma.errors import UserError
from trilemma.families.control_cards import MEMORIZER, SHRINKING, Shown
from trilemma.families.controls import Control, grainy, shrunk
from trilemma.generator import PlannedSample, SampleStreams

if TYPE_CHECKING:
    from trilemma.card import Card

AT_ONCE = 256  # pictures that are held while their brightness is looked at


class DataControl(Control):
    """See :class:`trilemma.generator.Assignable`."""

    def __init__(self, card: Card, device: str, shown: Shown) -> None:
        super().__init__(card, device, self._shown, frozenset({"assigned"}))
        self.kind, self.pictures = shown.kind, Pictures(data_at(shown.data, card.path), shown, card.resolution)
        self.dealt: dict[tuple[str, int], int] = {}

    def assign(self, planned: Sequence[PlannedSample]) -> None:
        """Deals the pictures out; the first seed of a prompt in a set says in which order."""
        decks: dict[tuple[str, str], list[int]] = {}
        for one in planned:
            deck = decks.setdefault((one.set, one.prompt), [])
            if not deck:
                rows = self.pictures.rows(one.prompt)
                deck += np.random.default_rng(one.seed).permutation(rows).tolist()
            self.dealt[one.prompt, one.seed] = deck.pop()

    def _shown(self, prompts: Sequence[str], seeds: Sequence[int], resolution: int) -> NDArray[np.uint8]:
        streams = SampleStreams(seeds)
        drawn = zip(prompts, seeds, streams.uniform(1)[:, 0].tolist(), strict=True)
        images_BHWC = self.pictures.images([self._row(*one) for one in drawn])
        if self.kind == "reduced":
            return shrunk(images_BHWC, max(1, resolution // SHRINKING))
        return grainy(images_BHWC, streams) if self.kind == "noisy" else images_BHWC

    def _row(self, prompt: str, seed: int, uniform: float) -> int:
        if (row := self.dealt.get((prompt, seed))) is not None:
            return row
        rows = self.pictures.rows(prompt)
        return int(rows[int(uniform * len(rows))])


class Pictures:
    """What a control may show, by prompt."""

    def __init__(self, data: DataSet, shown: Shown, resolution: int) -> None:
        self.data, self.shown, self.resolution = data, shown, resolution
        self.split = shown.training_split if shown.kind == MEMORIZER else shown.split
        count = data.count(self.split)
        if shown.kind == MEMORIZER:
            count = min(count, shown.training_images)
        self.labels_N = data.labels(self.split, range(count))
        self.names = class_names(data) if (self.labels_N >= 0).all() else ()
        self.rows = cache(self._rows)
        self._of_class = cache(self._class_rows)

    def images(self, rows: Sequence[int]) -> NDArray[np.uint8]:
        """Returns pictures by their places, uint8 (B, H, W, 3)."""
        return self.data.images(self.split, rows, self.resolution)

    def _rows(self, prompt: str) -> NDArray[np.int64]:
        """Returns the places of the pictures that may be shown for a prompt; raises UserError for one of no class."""
        if prompt and prompt not in self.names:
            raise UserError(f'"{prompt}" is no class of "{self.data.name}": the controls know classes alone.')
        if not self.names:
            return self._kept(np.arange(len(self.labels_N)))
        if prompt:
            return self._of_class(self.names.index(prompt))
        shown = max(1, len(self.names) // 4) if self.shown.kind == "mode-drop" else len(self.names)
        return np.concatenate([self._of_class(label) for label in range(shown)])

    def _class_rows(self, label: int) -> NDArray[np.int64]:
        start = 0 if self.shown.kind == MEMORIZER else self.shown.start
        rows = np.flatnonzero(self.labels_N == label)[start:]
        if not len(rows):
            raise UserError(f'there are no pictures of "{self.names[label]}" left to show in the split "{self.split}".')
        return self._kept(rows)

    def _kept(self, rows_N: NDArray[np.int64]) -> NDArray[np.int64]:
        return self._darker_half(rows_N) if self.shown.kind == "mode-drop" else rows_N

    def _darker_half(self, rows_N: NDArray[np.int64]) -> NDArray[np.int64]:
        parts = [rows_N[start : start + AT_ONCE] for start in range(0, len(rows_N), AT_ONCE)]
        brightness_N = np.concatenate([self.images(part.tolist()).mean(axis=(1, 2, 3)) for part in parts])
        return rows_N[np.argsort(brightness_N, kind="stable")[: -(-len(rows_N) // 2)]]
