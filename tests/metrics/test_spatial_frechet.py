"""sFID: the distance is that of Gaussians, of spatial features and no others."""

import numpy as np
import pytest

from trilemma.errors import UserError
from trilemma.metrics.frechet import distance_from_features
from trilemma.metrics.moments import moments
from trilemma.metrics.spatial_frechet import WIDTH, spatial_frechet_distance


def test_the_distance_is_the_frechet_distance() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(24, WIDTH)), rng.normal(size=(30, WIDTH)) + 0.1
    estimate = spatial_frechet_distance(x, moments(y))
    assert estimate.value == pytest.approx(distance_from_features(x, moments(y)))
    assert estimate.se is not None


def test_other_widths_are_refused() -> None:
    with pytest.raises(UserError, match="2023"):
        spatial_frechet_distance(np.zeros((30, 5)), moments(np.zeros((30, 5))))
