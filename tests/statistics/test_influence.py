"""Errors from influence values: the second order is counted once, not twice."""

import numpy as np
import pytest

from trilemma.statistics.influence import influence_replicates
from trilemma.statistics.means import mean_estimate
from trilemma.statistics.replicates import corrected_variance


def influence_of_squared_mean(x: np.ndarray) -> np.ndarray:
    """Of |mean x|², which is of second order only where E x = 0."""
    return 2 * (x - x.mean(axis=0)) @ x.mean(axis=0)


@pytest.mark.parametrize("first_order", [0.0, 0.05, 0.5])
def test_it_agrees_with_monte_carlo_whether_the_first_order_is_there_or_not(first_order: float) -> None:
    # Many independent coordinates: one alone would make the estimated error too noisy to compare.
    rng = np.random.default_rng(0)
    n, d = 100, 60
    values, errors, plain = [], [], []
    for _ in range(400):
        x = rng.normal(size=(n, d)) + first_order

        def psi(chosen: np.ndarray, x: np.ndarray = x) -> np.ndarray:
            return influence_of_squared_mean(x[chosen])

        whole = psi(np.ones(n, dtype=bool))
        replicates = influence_replicates(whole, psi)
        assert len(replicates.values_U) == n
        values.append(np.sum(x.mean(axis=0) ** 2))
        errors.append(replicates.error().se)
        plain.append(whole.std(ddof=1) / np.sqrt(n))
    spread, stated, uncorrected = np.std(values, ddof=1), *(np.sqrt(np.mean(np.square(e))) for e in (errors, plain))
    # Held between its bounds, a noisy correction errs on the safe side.
    assert 0.9 < stated / spread < 1.2
    if first_order == 0:
        assert uncorrected > 1.3 * spread


def test_the_correction_is_exact_for_two_orders_and_stays_in_its_bounds() -> None:
    # Expectations: A = V₁/n + 2V₂/n², B the same at n/2; what is sought is V₁/n + V₂/n².
    first, second, n = 3.0, 50.0, 20
    whole, half = (first / m + 2 * second / m**2 for m in (n, n / 2))
    assert corrected_variance(whole, half) == pytest.approx(first / n + second / n**2)
    assert corrected_variance(1.0, 100.0) == 0.5
    assert corrected_variance(1.0, 0.0) == 1.0


def test_clusters_stay_together_and_few_units_are_not_halved() -> None:
    labels = np.repeat(np.arange(10), 3)
    seen = []

    def psi(chosen: np.ndarray) -> np.ndarray:
        seen.append(set(labels[chosen]))
        return np.linspace(-1, 1, int(chosen.sum()))

    influence_replicates(np.linspace(-1, 1, 30), psi, labels)
    assert seen[0] | seen[1] == set(range(10)) and not seen[0] & seen[1]
    few = influence_replicates(np.array([1.0, -1.0, 0.0]), psi)
    assert len(few.values_U) == 3 and few.error().se == pytest.approx(1 / np.sqrt(3))
    assert influence_replicates(np.array([1.0]), psi).error() is None
    assert len(seen) == 2


def test_halves_give_the_error_that_each_half_alone_would() -> None:
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(120, 40)), np.repeat(np.arange(60), 2)
    for clusters in (None, labels):
        halves = []

        def psi(chosen: np.ndarray, halves: list = halves, clusters: np.ndarray | None = clusters) -> np.ndarray:
            found = influence_of_squared_mean(x[chosen])
            halves.append(mean_estimate(found, None if clusters is None else clusters[chosen]).se ** 2)
            return found

        whole = influence_of_squared_mean(x)
        replicates = influence_replicates(whole, psi, clusters)
        expected = corrected_variance(mean_estimate(whole, clusters).se ** 2, np.mean(halves))
        assert replicates.error().se == pytest.approx(np.sqrt(expected))
