"""sFID: the features lie where ADM's do, and the distance is that of Gaussians."""

import numpy as np
import pytest

from trilemma.errors import UserError
from trilemma.metrics.frechet import distance_from_features
from trilemma.metrics.moments import moments
from trilemma.metrics.spatial_frechet import WIDTH, spatial_features, spatial_frechet_distance


def test_features_are_the_first_channels_by_row_column_channel() -> None:
    maps = np.random.default_rng(0).normal(size=(2, 9, 17, 17)).astype(np.float32)
    found = spatial_features(maps)
    assert found.shape == (2, 2023) == (2, WIDTH)
    # ADM's maps are (N, 17, 17, C); it keeps [..., :7] and flattens.
    np.testing.assert_array_equal(found, np.moveaxis(maps, 1, -1)[..., :7].reshape(2, -1))


def test_the_distance_is_the_frechet_distance() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(24, WIDTH)), rng.normal(size=(30, WIDTH)) + 0.1
    estimate = spatial_frechet_distance(x, moments(y))
    assert estimate.value == pytest.approx(distance_from_features(x, moments(y)))
    assert estimate.se is not None


def test_other_shapes_are_refused() -> None:
    with pytest.raises(UserError, match="maps"):
        spatial_features(np.zeros((2, 3, 17, 17)))
    with pytest.raises(UserError, match="2023"):
        spatial_frechet_distance(np.zeros((30, 5)), moments(np.zeros((30, 5))))
