"""What the recipes do to captions: drop them, or make one factor wrong."""

from __future__ import annotations

import numpy as np

from trilemma.data import scenes
from trilemma.training.loop import Step

DROPPED = 0.1


def drop_captions(captions: list[str], step: Step) -> list[str]:
    """Replaces a tenth of the captions by the empty one, so that the model learns to do without (arXiv 2207.12598)."""
    dropped = np.random.default_rng([step.number, 1]).random(len(captions)) < DROPPED
    return ["" if drop else text for text, drop in zip(captions, dropped, strict=True)]


def wrong_captions(step: Step) -> list[str]:
    """Returns for each picture of the step a caption in which exactly one captioned factor is wrong."""
    rng = np.random.default_rng([step.number, 2])
    known = scenes.factors("train", step.indices)
    true = np.stack([known.shape, known.color, known.background], 1)
    which = rng.integers(0, 3, len(true))
    true[np.arange(len(true)), which] = (true[np.arange(len(true)), which] + rng.integers(1, 8, len(true))) % 8
    return [scenes.caption(int(s), int(c), int(b)) for s, c, b in true]
