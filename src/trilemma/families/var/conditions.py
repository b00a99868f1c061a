"""What the next-scale transformer is told of a prompt: the embedding of a caption, or the number of a class."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from trilemma.families.class_prompts import ClassPrompts
from trilemma.families.sampling import embed_for_guidance
from trilemma.families.text import TextEncoder


class TextCondition(nn.Module):
    """Prompts to what the transformer is given: embeddings of captions."""

    capabilities: frozenset[str] = frozenset()

    def __init__(self, text: TextEncoder) -> None:
        super().__init__()
        self.text = text

    @property
    def networks(self) -> list[nn.Module]:
        """What can be compiled."""
        return [self.text.tower]

    def forward(self, prompts: Sequence[str], scale: float) -> tuple[Tensor, bool]:
        """See :func:`embed_for_guidance`."""
        return embed_for_guidance(self.text, prompts, scale)


class ClassCondition(nn.Module):
    """Prompts to what the transformer is given: numbers of classes."""

    def __init__(self, prompts: ClassPrompts, device: str) -> None:
        super().__init__()
        self.prompts, self.device = prompts, device
        self.capabilities = prompts.capabilities

    @property
    def networks(self) -> list[nn.Module]:
        """What can be compiled: nothing."""
        return []

    def forward(self, prompts: Sequence[str], scale: float) -> tuple[Tensor, bool]:
        """See :meth:`ClassPrompts.for_guidance`."""
        labels_B, guided = self.prompts.for_guidance(prompts, scale)
        return labels_B.to(self.device), guided
