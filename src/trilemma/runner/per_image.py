"""The metrics that are means over images of what the sample rows hold: their values, image by image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

CAPTIONED = ("shape", "color", "background")
PerImage = Callable[["pd.DataFrame", Mapping[str, Any]], NDArray[np.float64]]


def _column(name: str) -> PerImage:
    return lambda samples, _: np.asarray(samples[name], dtype=np.float64)


def _right(samples: pd.DataFrame, _: Mapping[str, Any]) -> NDArray[np.float64]:
    """Of a data set with classes a label is read, of Scenes three factors."""
    if "read_label" in samples and samples["read_label"].notna().all():
        return np.asarray(samples["read_label"] == samples["target_label"], dtype=np.float64)
    right = [np.asarray(samples[f"read_{name}"] == samples[f"target_{name}"]) for name in CAPTIONED]
    return np.asarray(np.logical_and.reduce(right), dtype=np.float64)


def _off(samples: pd.DataFrame, params: Mapping[str, Any]) -> NDArray[np.float64]:
    return np.asarray(samples["residual"] > params["threshold"], dtype=np.float64)


PER_IMAGE: Mapping[str, PerImage] = {
    "clip_score": _column("clip_score"),
    "residual": _column("residual"),
    "prompt_accuracy": _right,
    "off_manifold": _off,
}
"""By metric: a function of a set's sample rows and the metric row's params."""
