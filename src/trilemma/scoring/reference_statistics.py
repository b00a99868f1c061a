"""Statistics files on their way in: as the real side of a score."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from trilemma.metrics.moments import Gaussian
from trilemma.metrics.statistics_file import read_statistics
from trilemma.scoring.side import Statistics


def statistics_of(path: Path) -> Statistics:
    """Returns a statistics file's content and digest; raises UserError where it cannot be read."""
    content = read_statistics(path)
    whole = hashlib.sha256()
    for gaussian in (content.features, content.spatial):
        if gaussian is not None:
            whole.update(_digest(gaussian))
    return Statistics(content=content, digest=whole.hexdigest())


def _digest(gaussian: Gaussian) -> bytes:
    """The sha256 of count, mean and covariance: of the numbers, not of the file around them."""
    one = hashlib.sha256(f"gaussian {gaussian.count} {len(gaussian.mean_D)}\n".encode())
    for array in (gaussian.mean_D, gaussian.covariance_DD):
        one.update(np.ascontiguousarray(array, dtype="<f8").data)
    return one.digest()
