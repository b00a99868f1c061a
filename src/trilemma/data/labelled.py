"""Encoded images with what is known of each: its class and its caption."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from trilemma.data.encoded import Encoded


class LabelledImages(Encoded):
    """Encoded images of a data set in shards."""

    @property
    @abstractmethod
    def has_captions(self) -> bool:
        """Whether every image has one."""

    @abstractmethod
    def captions(self, rows_N: NDArray[np.int64]) -> list[str]:
        """Returns the captions of images; raises UserError where one is missing or empty."""

    @abstractmethod
    def labels(self) -> NDArray[np.int64]:
        """Returns the classes of all images, int64 (N,); -1 where there is none."""
