"""Images that exist already, of a service or of code that cannot be run here: measured like any model's, and not timed.

``samples_options`` says what a card holds, ``samples_assignment`` which image is which sample's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trilemma.data.sources import ImageSource, open_source
from trilemma.errors import UserError
from trilemma.families.samples_assignment import Existing, assignment
from trilemma.families.samples_options import samples_options
from trilemma.families.samples_table import read_table
from trilemma.generator import Aspect, GeneratorInfo, PlannedSample, check_batch, resolve_knobs

if TYPE_CHECKING:
    from trilemma.card import Card

Asked = tuple[str, int]  # prompt and seed
REASON = "the images exist already: nothing is known of how they were made"
UNKNOWN: dict[Aspect, str] = dict.fromkeys(("speed", "memory", "parameters", "evaluations", "operations"), REASON)


class Samples:
    """The registered model: it makes nothing, and hands out what is there."""

    def __init__(self, card: Card, device: str) -> None:
        options = samples_options(card)
        self.source, self.way = open_source(options.images), options.assign
        prompts = {} if options.prompts is None else _prompts(read_table(options.prompts), self.source)
        self.existing = Existing(name=self.source.name, files=tuple(self.source.keys()), prompts=prompts)
        self.side, self.device = card.resolution, device
        self.numbers: dict[Asked, int] = {}
        self.evaluations = 0
        self.info = GeneratorInfo(
            name=card.name, family="samples", resolution=card.resolution, parameters=None, unknown=UNKNOWN,
            capabilities=frozenset({"assigned"}),
        )  # fmt: skip

    def assign(self, planned: Sequence[PlannedSample]) -> None:
        """See :class:`trilemma.generator.Assignable`."""
        numbers = assignment(self.existing, planned, self.way)
        self.numbers = {(one.prompt, one.seed): number for one, number in zip(planned, numbers, strict=True)}

    def generate(self, prompts: Sequence[str], seeds: Sequence[int], **knobs: float) -> Tensor:
        """Returns the images that were assigned to these prompts and seeds.

        Raises:
            UserError: none was, or an image is not of the card's resolution.
        """
        check_batch(prompts, seeds)
        resolve_knobs(self.info.knobs, knobs)
        asked = list(zip(prompts, seeds, strict=True))
        if any(one not in self.numbers for one in asked):
            raise UserError("these images are for a protocol's plan alone.", where=self.source.name)
        numbers = [self.numbers[one] for one in asked]
        images_BHWC = np.stack([self._checked(number, image) for number, image in self._images(numbers)])
        return torch.from_numpy(images_BHWC).permute(0, 3, 1, 2).contiguous().to(self.device)

    def _images(self, numbers: Sequence[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Neighbours are read together."""
        runs = (self.source.images(start, stop) for start, stop in _runs(numbers))
        return zip(numbers, chain.from_iterable(runs), strict=True)

    def _checked(self, number: int, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width, _ = image.shape
        if (height, width) != (self.side, self.side):
            where = f"{self.source.name}: {self.existing.files[number]}"
            hint = f"Say so on the card where all are of one size (resolution = {width}), or resize them yourself."
            raise UserError(
                f"this image is {width}x{height}, the card says {self.side}x{self.side}.", where=where, hint=hint
            )
        return image


def load(card: Card, device: str) -> Samples:
    """Opens the images that a card names."""
    return Samples(card, device)


def _prompts(table: Sequence[tuple[str, str]], source: ImageSource) -> dict[str, str]:
    known = set(source.keys())
    for file, _ in table:
        if file not in known:
            raise UserError(f'the table names "{file}", and there is no such image.', where=source.name)
    return dict(table)


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yields (start, stop) of each stretch of numbers that follow one another."""
    start = 0
    for place in range(1, len(numbers) + 1):
        if place == len(numbers) or numbers[place] != numbers[place - 1] + 1:
            yield numbers[start], numbers[place - 1] + 1
            start = place
