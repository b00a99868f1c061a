"""Roots of covariances: factors, triangular products and nuclear norms against the plain ways to them."""

import numpy as np
import pytest

from trilemma.metrics import covariance_roots
from trilemma.metrics.covariance_roots import congruence, covariance_factor, factored, nuclear_norm
from trilemma.metrics.moments import moments


def covariance(d: int, rank: int, seed: int = 0) -> np.ndarray:
    root = np.random.default_rng(seed).normal(size=(d, rank))
    return root @ root.T / rank


@pytest.mark.parametrize("rank", [3, 40])
@pytest.mark.parametrize("count", [None, 5, 1000])
def test_a_factor_gives_its_covariance_back(rank: int, count: int | None) -> None:
    matrix = covariance(20, rank)
    factor = covariance_factor(matrix, count)
    np.testing.assert_allclose(factor @ factor.T, matrix, rtol=0, atol=1e-12 * np.abs(matrix).max())
    assert factor.shape == (20, min(rank, 20))


@pytest.mark.parametrize("block", [1, 7, 256])
@pytest.mark.parametrize("rank", [3, 40])
def test_the_lower_triangle_is_that_of_the_plain_product(
    block: int, rank: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(covariance_roots, "TRIANGLE_BLOCK", block)
    factor, matrix = covariance_factor(covariance(20, rank), None), covariance(20, 30, seed=1)
    expected = factor.T @ matrix @ factor
    np.testing.assert_allclose(np.tril(congruence(matrix, factor)), np.tril(expected), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("spectrum", [np.ones(20), np.logspace(0, -9, 20), np.repeat([1.0, 0.0], 10)])
@pytest.mark.parametrize("width", [9, 20, 50])
def test_the_nuclear_norm_is_the_sum_of_singular_values_whatever_their_spread(spectrum: np.ndarray, width: int) -> None:
    matrix = (
        np.random.default_rng(0).normal(size=(20, 20)) * spectrum @ np.random.default_rng(1).normal(size=(20, width))
    )
    matrix -= matrix.mean(axis=0)
    expected = np.linalg.svd(matrix, compute_uv=False).sum()
    assert nuclear_norm(matrix) == pytest.approx(expected, rel=1e-10)


def test_a_factor_that_is_there_is_not_computed_again() -> None:
    gaussian = moments(np.random.default_rng(0).normal(size=(50, 4)))
    once = factored(gaussian)
    assert factored(once) is once and once.count == 50
    assert np.array_equal(once.mean_D, gaussian.mean_D) and np.array_equal(once.covariance_DD, gaussian.covariance_DD)
    np.testing.assert_allclose(once.factor_DR @ once.factor_DR.T, gaussian.covariance_DD, rtol=1e-12, atol=1e-14)
