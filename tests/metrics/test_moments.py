"""Moments: equal to numpy's, whatever the order, the batches and the shards, in any dtype."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trilemma.errors import UserError
from trilemma.metrics.moments import Moments, moments, stream_moments


def same(a: Moments, b: Moments) -> None:
    assert a.count == b.count
    np.testing.assert_allclose(a.mean_D, b.mean_D, rtol=0, atol=1e-10)
    np.testing.assert_allclose(a.scatter_DD, b.scatter_DD, rtol=0, atol=1e-10 * np.abs(b.scatter_DD).max())


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_they_are_the_mean_and_the_unbiased_covariance(dtype: str) -> None:
    x = np.random.default_rng(0).normal(size=(5000, 7)).astype(dtype)
    found = moments(x)
    np.testing.assert_allclose(found.mean_D, x.astype(np.float64).mean(axis=0), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found.covariance_DD, np.cov(x.astype(np.float64).T), rtol=1e-10, atol=1e-14)
    assert found.covariance_DD.dtype == np.float64


@given(st.integers(0, 2**32 - 1), st.integers(1, 9))
@settings(max_examples=25, derandomize=True)
def test_shards_merge_in_any_order(seed: int, pieces: int) -> None:
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(70, 5)) + 30).astype(np.float32)
    shards = [moments(part) for part in np.split(x, np.sort(rng.integers(0, 70, size=pieces)))]
    merged = shards.pop(int(rng.integers(len(shards))))
    while shards:
        other = shards.pop(int(rng.integers(len(shards))))
        merged = merged.merge(other) if rng.random() < 0.5 else other.merge(merged)
    same(merged, moments(x))


def test_what_cannot_be_merged_or_fitted_is_refused() -> None:
    with pytest.raises(UserError, match="width"):
        moments(np.zeros((3, 2))).merge(moments(np.zeros((3, 4))))
    with pytest.raises(UserError, match="at least 2"):
        _ = moments(np.zeros((1, 2))).covariance_DD
    with pytest.raises(UserError, match="1 of 3 rows"):
        moments(np.array([[0.0], [np.inf], [1.0]]))
    with pytest.raises(UserError, match="no batches"):
        stream_moments([])
