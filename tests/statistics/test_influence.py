"""Errors from influence values: the second order is counted once, not twice."""

import numpy as np
import pytest

from trilemma.statistics.influence import corrected_variance, influence_error


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
        error, units = influence_error(whole, psi)
        assert error is not None and units == n
        values.append(np.sum(x.mean(axis=0) ** 2))
        errors.append(error)
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

    influence_error(np.linspace(-1, 1, 30), psi, labels)
    assert seen[0] | seen[1] == set(range(10)) and not seen[0] & seen[1]
    assert influence_error(np.array([1.0, -1.0, 0.0]), psi) == (pytest.approx(1 / np.sqrt(3)), 3)
    assert influence_error(np.array([1.0]), psi) == (None, 1)
    assert len(seen) == 2
