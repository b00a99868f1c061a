"""Real images to calibrate with, by name: Scenes, or any source of images."""

from __future__ import annotations

from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from trilemma.data import scenes
from trilemma.data.scenes_source import scenes_source
from trilemma.data.sources import ImageSource, open_source
from trilemma.errors import UserError
from trilemma.scoring.distortions import DISTORTIONS, Material

SCENES = "scenes"
SPLIT = "calibration"
"""A split of its own: no instrument was trained on it, and no protocol compares with it."""
SPARE = 2.0
"""How many times the images that dropping modes needs on average are kept ready."""


def material(name: str, samples: int, seed: int = 0) -> Material:
    """Returns the images of a name, dealt into roles.

    Args:
        name: "scenes", or a folder, archive or array of images. One with class folders knows its modes: the classes.
        samples: N, of the reference and of every set that is compared with it.
        seed: shuffles what comes in the order of names.

    Raises:
        UserError: there is no such source, it has fewer than 3N images, or N is below 1.
    """
    if samples < 1:
        raise UserError(f"must be at least 1, got {samples}.", where="--samples")
    if name == SCENES:
        return _of_scenes(samples)
    source = open_source(name)
    order = np.random.default_rng(seed).permutation(len(source))
    return Material(source=source, order=order, samples=samples, modes=_classes(source))


def _of_scenes(samples: int) -> Material:
    kept = 1 - DISTORTIONS["mode-drop"].strongest
    images = samples * (2 + round(SPARE / kept))
    known = scenes.factors(SPLIT, range(images))
    return Material(source=scenes_source(SPLIT, images), order=np.arange(images), samples=samples, modes=known.mode)


def _classes(source: ImageSource) -> NDArray[np.str_] | None:
    """Returns the folder that each image lies in, or None where all lie in one."""
    folders = np.array([str(PurePosixPath(key).parent) for key in source.keys()])
    return folders if len(np.unique(folders)) > 1 else None
