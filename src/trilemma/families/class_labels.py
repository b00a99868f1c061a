"""Class-conditional models behind an interface of prompts: every prompt is a class, always the same one.

What class that is means nothing: the prompt's digest, modulo the number of classes. The empty prompt is the null class
where a model was trained with one, for guidance; elsewhere it is a text like any other.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from trilemma.identity import digest


def class_of(prompt: str, classes: int) -> int:
    """Returns the class of a prompt, in [0, classes)."""
    return int(digest(["class", prompt])[:16], 16) % classes


def class_labels(prompts: Sequence[str], classes: int) -> Tensor:
    """Returns int64 ``(B,)`` in [0, classes)."""
    return torch.tensor([class_of(prompt, classes) for prompt in prompts])


def labels_for_guidance(prompts: Sequence[str], classes: int, scale: float) -> tuple[Tensor, bool]:
    """Returns the classes to run, and whether they are guided; the null class has the number ``classes``.

    Guided, ``(2B,)``: the prompts' classes, then as many null ones. A scale of 1, or no prompt at all, needs ``(B,)``.
    """
    labels_B = torch.tensor([class_of(prompt, classes) if prompt else classes for prompt in prompts])
    guided = scale != 1.0 and any(prompts)
    return (torch.cat([labels_B, torch.full_like(labels_B, classes)]) if guided else labels_B), guided
