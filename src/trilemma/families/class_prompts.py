"""How a class-conditional model understands prompts: a trained one by the names of its classes, a random one anyhow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from trilemma.families.class_labels import Names, class_names, class_of, class_of_seed, labels_of

if TYPE_CHECKING:
    from trilemma.card import Card


class ClassPrompts:
    """Prompts to numbers of classes. A prompt that is no class of a trained model raises UserError.

    Args:
        card: its options may name the classes.
        classes: how many there are. The null class, where a model has one, has the number after the last.
        known: the names as the checkpoint itself tells them; those of the card come before them.

    Attributes:
        capabilities: "class-conditional" of a trained model, which takes its classes and no other prompt.
    """

    def __init__(self, card: Card, classes: int, known: Names | None = None) -> None:
        self.classes = self.null = classes
        self.names = None if card.random_weights else (known or Names()) | class_names(card, classes)
        self.capabilities = frozenset({"class-conditional"} if self.names is not None else ())

    def labels(self, prompts: Sequence[str], seeds: Sequence[int]) -> Tensor:
        """Returns int64 ``(B,)`` in [0, classes), of a model without a null class.

        Without a prompt a trained model's class is drawn by the seed; to a random one that is a text like any other.
        """
        if self.names is None:
            return torch.tensor([class_of(prompt, self.classes) for prompt in prompts])
        drawn = [class_of_seed(seed, self.classes) for seed in seeds]
        return self._filled(prompts, drawn)

    def labels_or_null(self, prompts: Sequence[str]) -> Tensor:
        """Returns int64 ``(B,)`` in [0, classes]; the empty prompt is the null class."""
        if self.names is None:
            return torch.tensor([class_of(prompt, self.classes) if prompt else self.null for prompt in prompts])
        return self._filled(prompts, [self.null] * len(prompts))

    def for_guidance(self, prompts: Sequence[str], scale: float) -> tuple[Tensor, bool]:
        """Returns the classes to run, and whether they are guided.

        Guided, ``(2B,)``: the prompts' classes, then as many null ones. A scale of 1, or no prompt at all, needs
        ``(B,)``.
        """
        labels_B = self.labels_or_null(prompts)
        guided = scale != 1.0 and any(prompts)
        return (torch.cat([labels_B, torch.full_like(labels_B, self.null)]) if guided else labels_B), guided

    def _filled(self, prompts: Sequence[str], others: Sequence[int]) -> Tensor:
        assert self.names is not None
        found = labels_of(prompts, self.classes, self.names)
        return torch.tensor([other if label is None else label for label, other in zip(found, others, strict=True)])
