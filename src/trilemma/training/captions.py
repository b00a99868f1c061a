"""What the recipes do to captions: drop them, or make one thing in them wrong."""

from __future__ import annotations

import numpy as np

from trilemma.training.loop import Step
from trilemma.training.split import TrainingSplit

DROPPED = 0.1


def drop_captions(captions: list[str], step: Step) -> list[str]:
    """Replaces a tenth of the captions by the empty one, so that the model learns to do without (arXiv 2207.12598)."""
    dropped = np.random.default_rng([step.number, 1]).random(len(captions)) < DROPPED
    return ["" if drop else text for text, drop in zip(captions, dropped, strict=True)]


def wrong_captions(data: TrainingSplit, step: Step) -> list[str]:
    """Returns for each picture of the step a caption that is wrong in one thing."""
    return data.wrong_prompts(step.indices, np.random.default_rng([step.number, 2]))
